"""OCFL inventories: streamed out for a first version of any size, parsed on the way in."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version as it stands in an object, with the SHA-512 of its own inventory."""

    version: str
    created: str
    message: str
    inventory_sha512: str


def sidecar_bytes(sha512: str) -> bytes:
    """What an inventory's digest file holds (OCFL 1.1 §3.7)."""
    return f"{sha512} {INVENTORY}\n".encode()


class FirstInventory:
    """The inventory of version v1, put together in one pass and in memory that stays flat.

    Entries come in the order of their digests; of equal digests the first one's content path counts.
    """

    def __init__(self, object_id: str, info: VersionInfo) -> None:
        self._object_id = object_id
        self._info = info
        self._manifest = _Spool()
        self._state = _Spool()
        self._digest = ""
        self._content = ""
        self._logical: list[str] = []

    def add(self, entry: InventoryEntry) -> None:
        """One logical file."""
        if entry.sha512 != self._digest:
            self._flush()
            self._digest, self._content = entry.sha512, entry.content
        self._logical.append(entry.logical)

    def _flush(self) -> None:
        if self._logical:
            self._manifest.add(self._digest, [self._content])
            self._state.add(self._digest, sorted(self._logical))
            self._logical = []

    def parts(self) -> Iterator[bytes]:
        """The finished JSON."""
        self._flush()
        info = self._info
        yield b'{\n "contentDirectory": "content",\n "digestAlgorithm": "sha512",\n "head": "v1",\n'
        yield f' "id": {json.dumps(self._object_id)},\n "manifest": {{\n'.encode()
        yield from self._manifest.parts()
        yield f'\n }},\n "type": "{INVENTORY_TYPE}",\n "versions": {{\n  "v1": {{\n'.encode()
        yield f'   "created": {json.dumps(info.created)},\n'.encode()
        message = json.dumps(info.message, ensure_ascii=False)
        yield f'   "message": {message},\n   "state": {{\n'.encode()
        yield from self._state.parts()
        user = json.dumps({"address": info.address, "name": info.user}, ensure_ascii=False)
        yield f'\n   }},\n   "user": {user}\n  }}\n }}\n}}\n'.encode()

    def close(self) -> None:
        """Give the scratch files up."""
        self._manifest.close()
        self._state.close()


def next_inventory(
    inventory: Inventory,
    version: str,
    info: VersionInfo,
    state: Mapping[str, str],
    added: Mapping[str, str],
) -> bytes:
    """The JSON of ``version``, which comes after ``inventory``'s newest.

    ``state`` is every logical path with its SHA-512, ``added`` the content path of each SHA-512
    that no earlier version has. Earlier versions and content paths stay as they are.
    """
    by_digest: dict[str, list[str]] = {}
    for logical in sorted(state):
        by_digest.setdefault(state[logical], []).append(logical)
    block = {
        "created": info.created,
        "message": info.message,
        "state": dict(sorted(by_digest.items())),
        "user": {"address": info.address, "name": info.user},
    }
    manifest = {**inventory.manifest, **{digest: [content] for digest, content in added.items()}}
    document = {
        "contentDirectory": inventory.content_directory,
        "digestAlgorithm": inventory.algorithm,
        "head": version,
        "id": inventory.object_id,
        "manifest": dict(sorted(manifest.items())),
        "type": INVENTORY_TYPE,
        "versions": {**inventory.versions, version: block},
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


class _Spool:
    """A JSON object's members on their way: in memory while small, then in a scratch file."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=8 << 20)  # noqa: SIM115  (closed by close)
        self._separator = ""

    def add(self, digest: str, paths: list[str]) -> None:
        listed = json.dumps(paths, ensure_ascii=False)
        self._file.write(f'{self._separator}  "{digest}": {listed}'.encode())
        self._separator = ",\n"

    def parts(self) -> Iterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(1 << 20):
            yield chunk

    def close(self) -> None:
        self._file.close()


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
            content = self.manifest[digest.lower()][0]
            for logical in logical_paths:
                yield InventoryEntry(digest.lower(), logical, content)


def parse_inventory(content: bytes, key: str) -> Inventory:
    """Read an inventory. Raises InventoryUnreadable with the OCFL code of the first fatal flaw."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
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
        complete = all(isinstance(entry.logical, str) for entry in inventory.state())
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InventoryUnreadable(key, code="E036", reason=f"incomplete: {error!r}") from error
    if not complete:
        raise InventoryUnreadable(key, code="E051", reason="a logical path is no text")
    return inventory
