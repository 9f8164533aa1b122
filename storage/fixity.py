"""Is one copy of one object still what it was? Every byte is read, and nothing is changed.

The measure is the inventory whose digest the catalogue recorded when the version was committed, so
a copy that was altered consistently, inventory and sidecar included, is found out all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from packages.digest import sha512_hex
from storage.copies import CopyState
from storage.errors import InventoryUnreadable, ObjectMissing, StorageError, StoreUnavailable
from storage.ocfl.inventory import INVENTORY, SIDECAR, Inventory, parse_inventory, sidecar_bytes
from storage.ocfl.layout import NAMASTE_OBJECT
from storage.ocfl.objects import OcflRepository
from storage.protocol import ObjectStore, read_all

__all__ = ["CopyAudit", "Expected", "Finding", "FindingKind", "audit_copy", "expected_objects"]

_CHUNK = 1 << 20


class FindingKind(StrEnum):
    """What can be wrong with a single object."""

    DAMAGED = "damaged"  # its bytes are others
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
    """The verdict on a copy; ``objects`` and ``bytes`` were read, ``reason`` where it was unreadable."""

    store: str
    object_id: str
    state: CopyState
    findings: tuple[Finding, ...] = ()
    objects: int = 0
    bytes: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an object must consist of: SHA-512 by key, and the bytes of the small ones we know."""

    digests: Mapping[str, str]
    known: Mapping[str, bytes]


def expected_objects(inventory_bytes: bytes, inventory: Inventory, versions: Mapping[str, str]) -> Expected:
    """Everything that belongs to an object, from its newest inventory.

    ``versions`` gives the inventory digests of earlier versions; one that is not known there is
    not expected, and its files are not unexpected either (``audit_copy`` allows them).
    """
    digests = {path: digest for digest, paths in inventory.manifest.items() for path in paths}
    head = sha512_hex(inventory_bytes)
    sidecar = sidecar_bytes(head)
    known = {
        NAMASTE_OBJECT[0]: NAMASTE_OBJECT[1],
        INVENTORY: inventory_bytes,
        SIDECAR: sidecar,
        f"{inventory.head}/{INVENTORY}": inventory_bytes,
        f"{inventory.head}/{SIDECAR}": sidecar,
    }
    for version, digest in versions.items():
        if version in inventory.versions and version != inventory.head:
            digests[f"{version}/{INVENTORY}"] = digest
            known[f"{version}/{SIDECAR}"] = sidecar_bytes(digest)
    digests.update((key, sha512_hex(content)) for key, content in known.items())
    return Expected(digests, known)


def trusted_inventory(
    repositories: Sequence[OcflRepository], object_id: str, sha512: str
) -> tuple[bytes, Inventory] | None:
    """The inventory with this digest, from wherever it can still be read; None if nowhere."""
    for repository in repositories:
        root = repository.layout.object_root(object_id)
        for content in _inventories(repository.store, root):
            if sha512_hex(content) == sha512:
                try:
                    return content, parse_inventory(content, root)
                except InventoryUnreadable:
                    return None  # it was committed like this; nothing can be judged by it
    return None


def _inventories(store: ObjectStore, root: str) -> Iterator[bytes]:
    """The root inventory, which is nearly always the one; only then those of the versions."""
    with suppress(StorageError, ValueError):
        yield read_all(store, f"{root}/{INVENTORY}")
    with suppress(StorageError):
        for number in range(1, 100):
            key = f"{root}/v{number}/{INVENTORY}"
            if store.size(key) is None:
                return
            with suppress(StorageError, ValueError):
                yield read_all(store, key)


def audit_copy(
    repository: OcflRepository,
    object_id: str,
    trusted: tuple[bytes, Inventory],
    versions: Mapping[str, str],
) -> CopyAudit:
    """Read a whole copy and compare it with what was committed. Never raises for the store's state."""
    store = repository.store
    root = repository.layout.object_root(object_id)
    expected = expected_objects(*trusted, versions)
    try:
        present = {key.removeprefix(f"{root}/") for key in store.list(f"{root}/")}
        if not present:
            return CopyAudit(store.name, object_id, CopyState.MISSING)
        findings, size, number = [], 0, 0
        for key, found, length in _digests(store, root, sorted(expected.digests.keys() & present)):
            size, number = size + length, number + 1
            if found != expected.digests[key]:
                kind = FindingKind.DAMAGED if found else FindingKind.MISSING
                findings.append(Finding(key, kind, expected.digests[key], found))
        for key in sorted(expected.digests.keys() - present):
            findings.append(Finding(key, FindingKind.MISSING, expected.digests[key], ""))
        for key in sorted(present - expected.digests.keys()):
            if not _allowed(key, trusted[1]):
                findings.append(Finding(key, FindingKind.UNEXPECTED, "", "an object"))
    except StoreUnavailable as error:
        return CopyAudit(store.name, object_id, CopyState.UNREADABLE, reason=error.reason)
    state = CopyState.DAMAGED if findings else CopyState.VERIFIED
    return CopyAudit(store.name, object_id, state, tuple(findings), number, size)


def _allowed(key: str, inventory: Inventory) -> bool:
    """Inventories of versions of which no digest is known, and OCFL's own log folder."""
    top, _, rest = key.partition("/")
    return top == "logs" or (top in inventory.versions and rest in (INVENTORY, SIDECAR))


def _digests(store: ObjectStore, root: str, keys: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    """(key, SHA-512 or "" if it vanished, size) of objects, several read at once."""
    waiting = iter(keys)
    with ThreadPoolExecutor(store.connections, thread_name_prefix="audit") as pool:
        running: list[tuple[str, Future[tuple[str, int]]]] = []

        def start(number: int) -> None:
            running.extend(
                (key, pool.submit(_digest, store, f"{root}/{key}")) for key in islice(waiting, number)
            )

        start(2 * store.connections)
        while running:
            key, future = running.pop(0)
            digest, size = future.result()
            start(1)
            yield key, digest, size


def _digest(store: ObjectStore, key: str) -> tuple[str, int]:
    hasher, size = hashlib.sha512(), 0
    try:
        with store.open(key) as stream:
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)
                size += len(chunk)
    except ObjectMissing:
        return "", 0
    except OSError as error:  # the medium lost it: for the archive that is damage like any other
        return f"unreadable: {error.strerror}", size
    return hasher.hexdigest(), size
