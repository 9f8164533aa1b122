"""What objects a store really holds, found by listing it. Never used while ingesting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from storage.ocfl.inventory import INVENTORY
from storage.protocol import ObjectEntry, ObjectStore

__all__ = ["FoundObject", "scan_objects"]

_DEPTH = 4  # three tuples and the encoded id (layout 0003)


@dataclass(frozen=True, slots=True)
class FoundObject:
    """What lies below one object root. Without ``committed`` it is what a killed write left."""

    root: str
    committed: bool
    keys: tuple[str, ...]
    bytes: int
    newest: datetime


def scan_objects(store: ObjectStore) -> Iterator[FoundObject]:
    """Every object root in the store, in the order of the keys; one object's keys in memory."""
    for root, entries in groupby(store.entries(""), key=_root_of):
        if root:
            yield _found(root, list(entries))


def _root_of(entry: ObjectEntry) -> str:
    parts = entry.key.split("/")
    if parts[0] == "extensions" or len(parts) <= _DEPTH:
        return ""
    return "/".join(parts[:_DEPTH])


def _found(root: str, entries: list[ObjectEntry]) -> FoundObject:
    keys = tuple(entry.key for entry in entries)
    return FoundObject(
        root=root,
        committed=f"{root}/{INVENTORY}" in keys,
        keys=keys,
        bytes=sum(entry.size for entry in entries),
        newest=max(entry.modified for entry in entries),
    )
