"""Who may see what: accounts, sessions, roles, and no guessing of passwords."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from starlette.requests import Request

from packages.package_file import timestamp
from pipeline.context import Clock
from storage.catalogue import AccountRow, Catalogue

__all__ = ["COOKIE", "Access", "Person", "Role", "hash_password", "password_is"]

COOKIE = "stele_session"
LIFETIME = timedelta(hours=12)
_SCRYPT = {"n": 1 << 14, "r": 8, "p": 5, "maxmem": 64 << 20}  # some 0.2 s a guess
_TRIES, _WINDOW = 5, 300.0
_BUSY = 4000  # names and addresses remembered; a flood of names must not fill the memory


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


def hash_password(password: str) -> str:
    """Salted, slow to guess."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT).hex()}"


def password_is(password: str, kept: str) -> bool:
    """Whether a password is the one that was hashed."""
    _, salt, digest = kept.split("$")
    made = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **_SCRYPT).hex()
    return hmac.compare_digest(made, digest)


_NOBODY = hash_password(secrets.token_hex())


@dataclass(slots=True)
class _Tries:
    """Failed sign-ins, by name and by address, within a window."""

    failed: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def blocked(self, *keys: str) -> bool:
        now = time.monotonic()
        for key in keys:
            tries = self.failed.get(key, deque())
            while tries and now - tries[0] > _WINDOW:
                tries.popleft()
            if len(tries) >= _TRIES:
                return True
        return False

    def fail(self, *keys: str) -> None:
        if len(self.failed) > _BUSY:
            self.failed.clear()
        for key in keys:
            self.failed[key].append(time.monotonic())

    def forget(self, *keys: str) -> None:
        for key in keys:
            self.failed.pop(key, None)


class Access:
    """Sign-in against the catalogue's accounts. Where there are none, only this machine may look."""

    def __init__(self, catalogue: Catalogue, clock: Clock, *, loopback: bool) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._loopback = loopback
        self._tries = _Tries()

    def person(self, request: Request) -> Person | None:
        """Who asks; None when they must sign in first."""
        token = request.cookies.get(COOKIE, "")
        if token:
            account = self._catalogue.login(_digest(token), timestamp(self._clock()))
            if account is not None:
                return _as_person(account)
        if self._loopback and not self._catalogue.accounts():
            return LOCAL
        return self._by_header(request)

    def sign_in(self, name: str, password: str, address: str) -> str | None:
        """A token for the browser; None when name or password are wrong, or were too often."""
        account = self._check(name, password, address)
        if account is None:
            return None
        token, now = secrets.token_urlsafe(32), self._clock()
        self._catalogue.open_login(
            _digest(token), account.name, now=timestamp(now), expires=timestamp(now + LIFETIME)
        )
        return token

    def sign_out(self, request: Request) -> None:
        """The token is worth nothing any more."""
        self._catalogue.close_login(_digest(request.cookies.get(COOKIE, "")))

    def blocked(self, name: str, address: str) -> bool:
        """Whether there were too many failures a moment ago."""
        return self._tries.blocked(f"name {name}", f"address {address}")

    def _check(self, name: str, password: str, address: str) -> AccountRow | None:
        keys = (f"name {name[:64]}", f"address {address}")
        if self._tries.blocked(*keys) or len(password) > 1024:
            return None
        account = self._catalogue.account(name)
        # A name nobody has takes as long as one that is taken.
        good = password_is(password, account.password if account else _NOBODY)
        if account is None or not good:
            self._tries.fail(*keys)
            return None
        self._tries.forget(*keys)
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
        account = self._check(name, password, client_address(request))
        return _as_person(account) if account else None


def client_address(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


def _as_person(account: AccountRow) -> Person:
    return Person(account.name, Role(account.role), signed_in=True)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
