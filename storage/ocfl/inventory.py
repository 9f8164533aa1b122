"""OCFL inventories: streamed out for a first version of any size, parsed on the way in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from storage.errors import InventoryUnreadable

INVENTORY_TYPE = "https://ocfl.io/1.1/spec/#inventory"
INVENTORY = "inventory.json"
SIDECAR = "inventory.json.sha512"


@dataclass(frozen=True, slots=True)
class InventoryEntry:
    """One logical file of a version: its digest, logical path and content path."""

    sha512: str
    logical: str
    content: str


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """Who made a version, when and why; ``created`` is RFC 3339, ``address`` a URI."""

    created: str
    message: str
    user: str
    address: str


def first_inventory(
    object_id: str, info: VersionInfo, entries: Callable[[], Iterable[InventoryEntry]]
) -> Iterator[str]:
    """The inventory of version v1 as text, in memory that does not grow with its size.

    ``entries()`` is called twice and must yield in the order of the digests.
    """
    yield '{\n "contentDirectory": "content",\n "digestAlgorithm": "sha512",\n "head": "v1",\n'
    yield f' "id": {json.dumps(object_id)},\n "manifest": {{\n'
    yield from _digest_map(entries(), lambda group: [group[0].content])
    yield f'\n }},\n "type": "{INVENTORY_TYPE}",\n "versions": {{\n  "v1": {{\n'
    yield f'   "created": {json.dumps(info.created)},\n'
    yield f'   "message": {json.dumps(info.message, ensure_ascii=False)},\n   "state": {{\n'
    yield from _digest_map(entries(), lambda group: sorted(entry.logical for entry in group))
    user = json.dumps({"address": info.address, "name": info.user}, ensure_ascii=False)
    yield f'\n   }},\n   "user": {user}\n  }}\n }}\n}}\n'


def _digest_map(
    entries: Iterable[InventoryEntry], paths: Callable[[list[InventoryEntry]], list[str]]
) -> Iterator[str]:
    first = True
    for digest, group in groupby(entries, key=lambda entry: entry.sha512):
        listed = json.dumps(paths(list(group)), ensure_ascii=False)
        separator = "" if first else ",\n"
        yield f'{separator}  "{digest}": {listed}'
        first = False


@dataclass(frozen=True, slots=True)
class Inventory:
    """A parsed inventory that passed the checks a reader depends on."""

    object_id: str
    algorithm: str
    head: str
    content_directory: str
    manifest: dict[str, list[str]]
    versions: dict[str, dict[str, Any]]

    def state(self, version: str | None = None) -> Iterator[InventoryEntry]:
        """The logical files of a version (default: the newest). Raises KeyError if there is none."""
        for digest, logical_paths in self.versions[version or self.head]["state"].items():
            content = self.manifest[digest][0]
            for logical in logical_paths:
                yield InventoryEntry(digest.lower(), logical, content)


def parse_inventory(content: bytes, key: str) -> Inventory:
    """Read an inventory. Raises InventoryUnreadable with the OCFL code of the first fatal flaw."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise InventoryUnreadable(key, code="E033", reason=f"not JSON: {error}") from error
    try:
        inventory = Inventory(
            object_id=document["id"],
            algorithm=document["digestAlgorithm"],
            head=document["head"],
            content_directory=document.get("contentDirectory", "content"),
            manifest={digest.lower(): paths for digest, paths in document["manifest"].items()},
            versions=document["versions"],
        )
        for entry in inventory.state():
            assert isinstance(entry.logical, str)
    except (KeyError, TypeError, AttributeError, AssertionError) as error:
        raise InventoryUnreadable(key, code="E036", reason=f"incomplete: {error!r}") from error
    return inventory
