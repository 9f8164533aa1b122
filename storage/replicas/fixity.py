"""Is one copy of one object still what it was? Every byte is read, and nothing is changed.

The measure is the inventory whose digest the catalogue recorded when the version was committed, so
a copy that was altered consistently, inventory and sidecar included, is found out all the same.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from packages.digest import sha512_hex
from storage.errors import ObjectMissing, StorageError, StoreUnavailable
from storage.ocfl.inventory import INVENTORY, SIDECAR, sidecar_bytes
from storage.ocfl.inventory_index import InventoryIndex
from storage.ocfl.layout import NAMASTE_OBJECT
from storage.ocfl.repository import OcflRepository
from storage.protocol import ObjectStore
from storage.states import CopyState

__all__ = [
    "CopyAudit",
    "Expected",
    "Finding",
    "FindingKind",
    "TrustedInventory",
    "audit_copy",
    "trusted_inventory",
    "wrong_objects",
]

_CHUNK_BYTES = 1 << 20
_MAX_KEPT_FINDINGS = 10_000


class FindingKind(StrEnum):
    """What can be wrong with a single object."""

    DAMAGED = "damaged"  # its digest differs
    MISSING = "missing"  # it is not there
    UNEXPECTED = "unexpected"  # it does not belong there


@dataclass(frozen=True, slots=True)
class Finding:
    """One object that is not as it must be. ``key`` is relative to the object's root."""

    key: str
    kind: FindingKind
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class CopyAudit:
    """The verdict on a copy; ``objects`` and ``bytes`` were read, ``reason`` where it was unreadable.

    ``findings`` are the first ones; ``wrong`` counts all of them.
    """

    store: str
    object_id: str
    state: CopyState
    findings: tuple[Finding, ...] = ()
    objects: int = 0
    bytes: int = 0
    reason: str = ""
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class TrustedInventory:
    """The inventory that was committed, and where its bytes can be read again."""

    index: InventoryIndex
    repository: OcflRepository
    key: str


class Expected:
    """What an object must consist of. Read from the inventory as it is needed, not held."""

    def __init__(self, trusted: TrustedInventory, versions: Mapping[str, str], begun: str = "") -> None:
        """``versions`` gives the inventory digests of earlier versions; one that is not known there
        is not expected, and its files are not unexpected either (see ``allows``). ``begun`` is a version
        after these that is committed here and not registered: its files and the root are its own affair."""
        self.trusted = trusted
        self._begun = begun
        index = trusted.index
        sidecar = sidecar_bytes(index.sha512)
        self._names = {version.name for version in index.versions}
        self._inventories = {INVENTORY: index.sha512, f"{index.head}/{INVENTORY}": index.sha512}
        self._known = {
            NAMASTE_OBJECT[0]: NAMASTE_OBJECT[1],
            SIDECAR: sidecar,
            f"{index.head}/{SIDECAR}": sidecar,
        }
        for version, digest in versions.items():
            if version in self._names and version != index.head:
                self._inventories[f"{version}/{INVENTORY}"] = digest
                self._known[f"{version}/{SIDECAR}"] = sidecar_bytes(digest)

    def known(self, key: str) -> bytes | None:
        """The bytes of a small object that follow from what was committed."""
        return self._known.get(key)

    def is_head_inventory(self, key: str) -> bool:
        """Whether an object has just the bytes of the trusted inventory."""
        return self._inventories.get(key) == self.trusted.index.sha512

    def digests(self) -> Iterator[tuple[str, str]]:
        """Every key with its SHA-512, in code-point order."""
        small = dict(self._inventories)
        small.update((key, sha512_hex(content)) for key, content in self._known.items())
        if self._begun:
            del small[INVENTORY], small[SIDECAR]
        return heapq.merge(self.trusted.index.contents(), sorted(small.items()))

    def allows(self, key: str) -> bool:
        """Inventories of versions of which no digest is known, and OCFL's own log folder."""
        top, _, rest = key.partition("/")
        if self._begun and (top == self._begun or key in (INVENTORY, SIDECAR)):
            return True
        return top == "logs" or (top in self._names and rest in (INVENTORY, SIDECAR))


@contextmanager
def trusted_inventory(
    repositories: Sequence[OcflRepository], object_id: str, sha512: str
) -> Iterator[TrustedInventory | None]:
    """The inventory with this digest, from wherever it can still be read; None if nowhere."""
    found = _find_inventory(repositories, object_id, sha512)
    try:
        yield found
    finally:
        if found is not None:
            found.index.close()


def _find_inventory(
    repositories: Sequence[OcflRepository], object_id: str, sha512: str
) -> TrustedInventory | None:
    for repository in repositories:
        root = repository.layout.object_root(object_id)
        for key in _inventory_keys(repository.store, root):
            # A store that cannot be read says nothing; the next one may have it. Nothing is undone by
            # this: without a trusted inventory no object is judged, replaced or deleted.
            try:
                index = repository.read_inventory(key)
            except (StorageError, OSError):
                continue
            if index.sha512 == sha512:
                return TrustedInventory(index, repository, key)
            index.close()
    return None


def _inventory_keys(store: ObjectStore, root: str) -> Iterator[str]:
    """The root inventory, which is nearly always the one; only then those of the versions."""
    yield f"{root}/{INVENTORY}"
    try:
        for number in range(1, 10_000):
            key = f"{root}/v{number}/{INVENTORY}"
            if store.size(key) is None:
                return
            yield key
    except StorageError:
        return  # as above: nothing follows from a store that does not answer


def audit_copy(
    repository: OcflRepository,
    object_id: str,
    trusted: TrustedInventory,
    versions: Mapping[str, str],
    begun: str = "",
) -> CopyAudit:
    """Read a whole copy and compare it with what was committed. Never raises for the store's state.

    With a version that is ``begun`` (see ``Expected``) a copy is unverified at best: not all was read.
    """
    store = repository.store
    tally = _Tally()
    findings: list[Finding] = []
    wrong = 0
    try:
        for finding in wrong_objects(repository, object_id, Expected(trusted, versions, begun), tally):
            wrong += 1
            if len(findings) < _MAX_KEPT_FINDINGS:
                findings.append(finding)
    except StoreUnavailable as error:
        return CopyAudit(store.name, object_id, CopyState.UNREADABLE, reason=error.reason)
    if not tally.present:
        return CopyAudit(store.name, object_id, CopyState.MISSING)
    whole = CopyState.UNVERIFIED if begun else CopyState.VERIFIED
    state = CopyState.DAMAGED if wrong else whole
    return CopyAudit(store.name, object_id, state, tuple(findings), tally.objects, tally.bytes, "", wrong)


@dataclass(slots=True)
class _Tally:
    """What a comparison has read so far."""

    objects: int = 0
    bytes: int = 0
    present: bool = False


def wrong_objects(
    repository: OcflRepository, object_id: str, expected: Expected, tally: _Tally | None = None
) -> Iterator[Finding]:
    """Compare every object of a copy with what is expected; what is wrong, in the order of the keys.

    Memory does not grow with the number of objects: expected and present keys are two streams in one
    order. What is yielded may be replaced or deleted at once. Raises StoreUnavailable.
    """
    root = repository.layout.object_root(object_id)
    tally = tally or _Tally()
    with _Reader(repository.store, root) as reader:
        yield from _judged(_paired(repository.store, root, expected, reader, tally), expected, tally)


_Pair = tuple[str, str | None, Future[tuple[str, int]] | None]
"""A key, the digest it must have (None: it is not expected), and the reading of it (None: missing)."""


def _judged(pairs: Iterator[_Pair], expected: Expected, tally: _Tally) -> Iterator[Finding]:
    waiting: deque[_Pair] = deque()
    for pair in pairs:
        waiting.append(pair)
        if len(waiting) > _MAX_READS_AHEAD:
            yield from _judge(waiting.popleft(), expected, tally)
    while waiting:
        yield from _judge(waiting.popleft(), expected, tally)


def _judge(pair: _Pair, expected: Expected, tally: _Tally) -> Iterator[Finding]:
    key, digest, reading = pair
    if digest is None:
        if not expected.allows(key):
            yield Finding(key, FindingKind.UNEXPECTED, "", "an object")
        return
    found, size = reading.result() if reading is not None else ("", 0)
    if reading is not None:
        tally.objects, tally.bytes = tally.objects + 1, tally.bytes + size
    if found != digest:
        kind = FindingKind.DAMAGED if found else FindingKind.MISSING
        yield Finding(key, kind, digest, found)


def _paired(
    store: ObjectStore, root: str, expected: Expected, reader: _Reader, tally: _Tally
) -> Iterator[_Pair]:
    """The two sorted streams side by side; reading begins as a key is met."""
    present = (key.removeprefix(f"{root}/") for key in store.list(f"{root}/"))
    here = next(present, None)
    tally.present = here is not None
    if here is None:
        return  # nothing at all: the copy is missing, and so is nothing in particular
    for key, digest in expected.digests():
        while here is not None and here < key:
            yield here, None, None
            here = next(present, None)
        if here == key:
            yield key, digest, reader.start(key)
            here = next(present, None)
        else:
            yield key, digest, None
    while here is not None:
        yield here, None, None
        here = next(present, None)


_MAX_READS_AHEAD = 64


class _Reader:
    """Reads and hashes objects, as many at once as the store takes."""

    def __init__(self, store: ObjectStore, root: str) -> None:
        self._store = store
        self._root = root
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> _Reader:
        if self._store.connections > 1:
            self._pool = ThreadPoolExecutor(self._store.connections, thread_name_prefix="audit")
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def start(self, key: str) -> Future[tuple[str, int]]:
        """Begin to read an object; its digest and size are the result."""
        if self._pool is not None:
            return self._pool.submit(_digest, self._store, f"{self._root}/{key}")
        done: Future[tuple[str, int]] = Future()  # one at a time: no thread is worth it
        try:
            done.set_result(_digest(self._store, f"{self._root}/{key}"))
        except StorageError as error:
            done.set_exception(error)
        return done


def _digest(store: ObjectStore, key: str) -> tuple[str, int]:
    hasher, size = hashlib.sha512(), 0
    try:
        with store.open(key) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                hasher.update(chunk)
                size += len(chunk)
    except ObjectMissing:
        return "", 0
    except OSError as error:  # the medium lost it: for the archive that is damage like any other
        return f"unreadable: {error.strerror}", size
    return hasher.hexdigest(), size
