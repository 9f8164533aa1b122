"""What lies below an object root: its keys, read once, and safe ways to read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from storage.errors import ObjectMissing, StoreUnavailable
from storage.protocol import IrregularEntries, ListsFolders, ObjectStore, check_key

_METADATA_LIMIT = 2 << 30


@dataclass(frozen=True, slots=True)
class Folder:
    """Everything below a prefix, by key relative to it.

    Only ``keys`` are ever opened: never a link, a pipe, or a path that only an inventory names.
    """

    store: ObjectStore
    prefix: str
    keys: frozenset[str]
    by_top: Mapping[str, tuple[str, ...]]
    """The keys by their first folder, in order; those of no folder under ``""``."""
    empty: frozenset[str]
    links: frozenset[str]
    no_keys: frozenset[str]
    """Names that lead elsewhere or nowhere (``a//b``), as an object store may hold them."""

    def top_files(self) -> tuple[str, ...]:
        """The names of files directly in here, in order."""
        return self.by_top.get("", ())

    def top_folders(self) -> list[str]:
        """The names of folders directly in here, in order, empty ones too."""
        names = {key.partition("/")[0] for key in self.links if "/" in key}
        names |= {key.partition("/")[0] for key in self.empty}
        return sorted((names | self.by_top.keys()) - {""})

    def files_in(self, where: str) -> list[str]:
        """The names of files directly in ``""`` or a top folder ``v1/``, in order."""
        keys = self.by_top.get(where.rstrip("/"), ())
        return [name for key in keys if "/" not in (name := key[len(where) :])]

    def read(self, key: str, *, limit: int = _METADATA_LIMIT) -> bytes:
        """The first ``limit`` bytes of a metadata file. Raises ObjectMissing."""
        with self.open(key) as stream:
            return stream.read(limit)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """A stream of the bytes of one of ``keys``. Raises ObjectMissing."""
        if key not in self.keys:
            raise ObjectMissing(key)
        try:
            with self.store.open(self.prefix + key) as stream:
                yield stream
        except OSError as error:  # while reading: a bad sector, a connection that broke
            raise StoreUnavailable(self.store.name, f"{error.strerror or error} ({key})") from error


def look_into(store: ObjectStore, root: str) -> Folder:
    """List everything below ``root`` (``""`` = the whole store)."""
    prefix = f"{root}/" if root else ""
    found = IrregularEntries(frozenset(), frozenset())
    if isinstance(store, ListsFolders):
        found = store.oddities(prefix)
    links = _relative(found.links, prefix)
    empty = set(_relative(found.empty, prefix))
    keys, strange = set(), set()
    for full in store.list(prefix):
        key = full[len(prefix) :]
        if key in links:
            continue
        if is_key(key):
            keys.add(key)
        elif is_key(key.removesuffix("/")):
            empty.add(key.removesuffix("/"))  # how consoles of object stores draw a folder
        else:
            strange.add(key)
    return Folder(
        store, prefix, frozenset(keys), _by_top(keys), frozenset(empty), links, frozenset(strange)
    )


def look_around(store: ObjectStore) -> Folder:
    """As ``look_into`` for a storage root, with only those keys that are not below its hierarchy."""
    found = IrregularEntries(frozenset(), frozenset())
    if isinstance(store, ListsFolders):
        found = store.oddities("")
    keys = frozenset(
        key
        for key in store.list("")
        if ("/" not in key or key.startswith("extensions/")) and key not in found.links and is_key(key)
    )
    return Folder(store, "", keys, _by_top(keys), found.empty, found.links, frozenset())


def _by_top(keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
    grouped: dict[str, list[str]] = {}
    for key in sorted(keys):
        grouped.setdefault(key.partition("/")[0] if "/" in key else "", []).append(key)
    return {top: tuple(inside) for top, inside in grouped.items()}


def is_key(key: str) -> bool:
    """Whether every segment is a plain name."""
    try:
        check_key(key)
    except ValueError:
        return False
    return True


def _relative(keys: frozenset[str], prefix: str) -> frozenset[str]:
    return frozenset(key[len(prefix) :] for key in keys if key.startswith(prefix))
