"""What objects a store really holds, found by listing it. Never used while ingesting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from storage.ocfl.inventory import INVENTORY
from storage.protocol import ListsFolders, ObjectEntry, ObjectStore

__all__ = ["FoundObject", "root_of_key", "scan_empty_folders", "scan_objects"]

_DEPTH = 4  # three tuples and the encoded id (layout 0003)


@dataclass(frozen=True, slots=True)
class FoundObject:
    """What lies below one object root. Without ``committed`` it is what a killed write left."""

    root: str
    committed: bool
    objects: int
    bytes: int
    newest: datetime


def scan_objects(store: ObjectStore) -> Iterator[FoundObject]:
    """Every object root in the store, in the order of the keys."""
    for root, entries in groupby(store.entries(""), key=lambda entry: root_of_key(entry.key)):
        if root:
            yield _found(root, entries)


def scan_empty_folders(store: ObjectStore) -> Iterator[FoundObject]:
    """Object roots, and folders on the way to one, below which there is nothing.

    A write leaves them that was killed before its first file, and a removal killed after its last.
    OCFL 1.1 allows no empty folder in a storage root (E073).
    """
    if isinstance(store, ListsFolders):
        for entry in store.empty_folders(_DEPTH):
            if not entry.key.startswith("extensions/") and entry.key != "extensions":
                yield FoundObject(entry.key, False, 0, 0, entry.modified)


def root_of_key(key: str) -> str:
    """The object root that a key lies below; empty for what belongs to no object."""
    parts = key.split("/")
    if parts[0] == "extensions" or len(parts) <= _DEPTH:
        return ""
    return "/".join(parts[:_DEPTH])


def _found(root: str, entries: Iterator[ObjectEntry]) -> FoundObject:
    committed, objects, size, newest = False, 0, 0, None
    for entry in entries:  # summed as they come: one object may have millions
        committed = committed or entry.key == f"{root}/{INVENTORY}"
        objects, size = objects + 1, size + entry.size
        newest = entry.modified if newest is None or entry.modified > newest else newest
    assert newest is not None, "a group has a member"
    return FoundObject(root, committed, objects, size, newest)
