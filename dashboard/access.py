"""Who may see what: accounts, sessions, roles, and protection against guessing passwords."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY
from starlette.requests import Request

from packages.package_file import timestamp
from pipeline.context import Clock
from storage.catalogue import AccountRow, Catalogue

__all__ = [
    "COOKIE",
    "DEVICE_COOKIE",
    "Access",
    "NewSession",
    "Person",
    "Role",
    "SignInRefused",
    "hash_password",
    "verify_password",
]

COOKIE = "stele_session"
LIFETIME = timedelta(hours=12)
DEVICE_COOKIE = "stele_device"
DEVICE_LIFETIME = timedelta(days=365)
_WINDOW_S = 300.0
_MAX_FAILED_BY_DEVICE = 10
_MAX_FAILED_BY_NAME_AND_ADDRESS = 5
_MAX_FAILED_BY_ADDRESS = 30
_MAX_FAILED_BY_NAME = (
    100  # from anywhere: enough to stop guessing, too many for one person to lock another out
)
_MAX_KEYS = 4000  # names and addresses remembered; a flood of names must not fill the memory
_MAX_HASHES_AT_ONCE = 4  # each takes 64 MiB
_FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via")


class Role(StrEnum):
    """What somebody does here."""

    OPERATOR = "operator"  # all pages; no content of records
    ARCHIVIST = "archivist"  # all pages and the DIPs
    AUDITOR = "auditor"  # all pages; no content of records


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. Without accounts everybody on this machine is ``local``."""

    name: str
    role: Role
    signed_in: bool

    @property
    def may_download(self) -> bool:
        """Whether records themselves may leave through this page."""
        return self.role is Role.ARCHIVIST


LOCAL = Person("", Role.ARCHIVIST, signed_in=False)


_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def hash_password(password: str) -> str:
    """Argon2id (RFC 9106), salted; its parameters are part of the hash."""
    return _HASHER.hash(password)


def verify_password(password: str, kept: str) -> bool:
    """Whether a password is the one that was hashed."""
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


_NOBODY = hash_password(secrets.token_hex())


class SignInRefused(StrEnum):
    """Why nobody was signed in."""

    WRONG = "wrong"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class NewSession:
    """What the browser keeps: the session's token, and what tells this browser from a stranger's."""

    token: str
    device: str


@dataclass(slots=True)
class _Guesses:
    """Failed sign-ins of the last minutes, by key. A guess counts as failed while it is looked at, so
    that many at once are not more than many in a row."""

    failed: dict[str, deque[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, limits: Mapping[str, int]) -> bool:
        """Count a guess; False when one of its keys has had too many."""
        now = time.monotonic()
        with self.lock:
            if len(self.failed) > _MAX_KEYS:
                self._forget_old(now)
            for key, limit in limits.items():
                if len(self._recent(key, now)) >= limit:
                    return False
            for key in limits:
                self.failed.setdefault(key, deque()).append(now)
        return True

    def succeeded(self, limits: Mapping[str, int]) -> None:
        """The guess was right: it does not count, nor do this person's mistakes before it."""
        with self.lock:
            for key, limit in limits.items():
                if limit in (_MAX_FAILED_BY_DEVICE, _MAX_FAILED_BY_NAME_AND_ADDRESS):
                    self.failed.pop(key, None)
                elif self.failed.get(key):
                    self.failed[key].pop()

    def _recent(self, key: str, now: float) -> deque[float]:
        times = self.failed.get(key, deque())
        while times and now - times[0] > _WINDOW_S:
            times.popleft()
        return times

    def _forget_old(self, now: float) -> None:
        """What is out of its window; where that is not enough, the keys with the fewest failures."""
        kept = [(key, times) for key in list(self.failed) if (times := self._recent(key, now))]
        kept.sort(key=lambda one: len(one[1]), reverse=True)
        self.failed = dict(kept[: _MAX_KEYS // 2])


class Access:
    """Sign-in against the catalogue's accounts. Where there are none, only this machine may look."""

    def __init__(self, catalogue: Catalogue, clock: Clock, *, loopback: bool) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._loopback = loopback
        self._guesses = _Guesses()
        self._hashing = threading.Semaphore(_MAX_HASHES_AT_ONCE)

    def person(self, request: Request) -> Person | None:
        """Who asks; None when they must sign in first."""
        token = request.cookies.get(COOKIE, "")
        if token:
            account = self._catalogue.accounts.login(_digest(token), timestamp(self._clock()))
            if account is not None:
                return _as_person(account)
        if self._loopback and not _is_forwarded(request) and not self._catalogue.accounts.all():
            return LOCAL
        return self._by_header(request)

    def sign_in(
        self, name: str, password: str, address: str, device: str = ""
    ) -> NewSession | SignInRefused:
        """A session for the browser. ``device`` is what it was given when somebody last signed in."""
        account = self._check(name, password, address, device)
        if isinstance(account, SignInRefused):
            return account
        token, now = secrets.token_urlsafe(32), self._clock()
        self._catalogue.accounts.open_login(
            _digest(token), account.name, now=timestamp(now), expires=timestamp(now + LIFETIME)
        )
        nonce = secrets.token_urlsafe(16)
        return NewSession(token, f"{nonce}.{_device_seal(account, nonce)}")

    def sign_out(self, request: Request) -> None:
        """The token is worth nothing any more."""
        self._catalogue.accounts.close_login(_digest(request.cookies.get(COOKIE, "")))

    def _check(self, name: str, password: str, address: str, device: str) -> AccountRow | SignInRefused:
        account = self._catalogue.accounts.get(name)
        limits = _limits(name[:64], address, device, account)
        if len(password) > 1024 or not self._guesses.admit(limits):
            return SignInRefused.BLOCKED
        # A name nobody has takes as long as one that is taken.
        with self._hashing:
            good = verify_password(password, account.password if account else _NOBODY)
        if account is None or not good:
            return SignInRefused.WRONG
        if _HASHER.check_needs_rehash(account.password):  # it was made with weaker parameters
            account = replace(account, password=hash_password(password))
            self._catalogue.accounts.rehash(account.name, account.password)
        self._guesses.succeeded(limits)
        return account

    def _by_header(self, request: Request) -> Person | None:
        """Machines (Prometheus) sign in with each request, and only for what is made for them."""
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if request.url.path != "/metrics" or kind.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        account = self._check(name, password, client_address(request), "")
        return None if isinstance(account, SignInRefused) else _as_person(account)


def _limits(name: str, address: str, device: str, account: AccountRow | None) -> dict[str, int]:
    """What a guess counts against. A browser in which this person has signed in before has a count of
    its own, so that nobody elsewhere can lock them out of it."""
    nonce, _, seal = device.partition(".")
    sealed = account is not None and hmac.compare_digest(
        seal.encode("utf-8", "replace"), _device_seal(account, nonce).encode()
    )
    if sealed:
        return {f"device {nonce}": _MAX_FAILED_BY_DEVICE}
    return {
        f"name {name} address {address}": _MAX_FAILED_BY_NAME_AND_ADDRESS,
        f"address {address}": _MAX_FAILED_BY_ADDRESS,
        f"name {name}": _MAX_FAILED_BY_NAME,
    }


def _device_seal(account: AccountRow, nonce: str) -> str:
    """Only we can make it, and a new password makes it worthless."""
    return hmac.new(
        account.password.encode(), f"{account.name}\0{nonce}".encode("utf-8", "replace"), "sha256"
    ).hexdigest()


def _is_forwarded(request: Request) -> bool:
    """A proxy passes it on for somebody who may be anywhere."""
    return any(name in request.headers for name in _FORWARDED)


def client_address(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


def _as_person(account: AccountRow) -> Person:
    return Person(account.name, Role(account.role), signed_in=True)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
