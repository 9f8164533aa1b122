"""Reading an OCFL storage root: what is there, what vouches for it, and its bytes. Nothing is written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from storage.copying import write_hashed
from storage.errors import InventoryUnreadable, ObjectMissing
from storage.ocfl.inventory import INVENTORY, SIDECAR, InventoryEntry, StoredVersion
from storage.ocfl.inventory_index import InventoryIndex, read_inventory
from storage.ocfl.layout import NAMASTE_ROOT, HashAndIdLayout
from storage.protocol import ObjectStore, Retention, SupportsRetention, Upload, read_all
from storage.scratch import scratch_folder

__all__ = ["OcflReader"]

_MAX_SIDECAR_BYTES = 1 << 16


class OcflReader:
    """An OCFL storage root in an object store, as a reader sees it."""

    def __init__(
        self, store: ObjectStore, layout: HashAndIdLayout | None = None, scratch: Path | None = None
    ) -> None:
        """``scratch`` is where what must be spooled goes; None = the system's temporary folder."""
        self.scratch = scratch
        self.store = store
        self.layout = layout or HashAndIdLayout()

    def exists(self) -> bool:
        """Whether there is a storage root. Asked anew each time: disks are unmounted at night."""
        return self.store.size(NAMASTE_ROOT[0]) is not None

    def holds(self, object_id: str) -> bool:
        """Whether the object is committed here. One question, whatever its size."""
        return self.holds_root(self.layout.object_root(object_id))

    def holds_root(self, root: str) -> bool:
        """As ``holds``, for an object root found by listing."""
        return self.store.size(f"{root}/{INVENTORY}") is not None

    def object_id(self, root: str) -> str:
        """The id of the object at a root. Raises ObjectMissing, InventoryUnreadable.

        InventoryUnreadable also when the object does not belong at this place: then our layout
        would not find it again.
        """
        with self.read_inventory(f"{root}/{INVENTORY}") as inventory:
            found = inventory.object_id
        if self.layout.object_root(found) != root:
            reason = f"{found} does not belong at this place"
            raise InventoryUnreadable(f"{root}/{INVENTORY}", code="E010", reason=reason)
        return found

    def versions(self, object_id: str) -> Iterator[StoredVersion]:
        """Every version's facts, oldest first, each with the digest of its own inventory; empty where
        none is there that its sidecar confirms, for nothing may be measured by what has rotted."""
        root = self.layout.object_root(object_id)
        with self.inventory(object_id) as inventory:
            versions, head = inventory.versions, inventory.sha512
        for one in versions[:-1]:
            digest = self._confirmed_digest(f"{root}/{one.name}") or ""
            yield StoredVersion(one.name, one.created, one.message, digest)
        newest = versions[-1]
        yield StoredVersion(newest.name, newest.created, newest.message, head)

    def _confirmed_digest(self, folder: str) -> str | None:
        try:
            digest = self._digest(f"{folder}/{INVENTORY}")
            return digest if self.sidecar(f"{folder}/{SIDECAR}") == digest else None
        except ObjectMissing:
            return None

    def head(self, object_id: str) -> str | None:
        """The newest version of an object (``v1``…), None when there is none."""
        try:
            with self.inventory(object_id) as inventory:
                return inventory.head
        except ObjectMissing:
            return None

    def read_inventory(self, key: str, *, every_version: bool = False) -> InventoryIndex:
        """The inventory under a key, whatever its sidecar says. Raises as ``inventory``."""
        size = self.store.size(key)
        with self.store.open(key) as stream:
            return read_inventory(stream, key, size=size, scratch=self.scratch, every_version=every_version)

    def inventory(self, object_id: str, *, every_version: bool = False) -> InventoryIndex:
        """The object's inventory, checked against its sidecar; to be closed after use.

        ``every_version`` also loads the files of earlier versions. Raises ObjectMissing;
        InventoryUnreadable when it is damaged.
        """
        root = self.layout.object_root(object_id)
        inventory = self.read_inventory(f"{root}/{INVENTORY}", every_version=every_version)
        try:
            if self.sidecar(f"{root}/{SIDECAR}") == inventory.sha512:
                return inventory
            # Killed between the two writes that commit a later version: the inventory is the old
            # one, whole, and its own version folder vouches for it.
            if self.sidecar(f"{root}/{inventory.head}/{SIDECAR}") == inventory.sha512:
                return inventory
        except ObjectMissing as error:
            inventory.close()
            if self.store.size(f"{root}/{SIDECAR}") is None:
                raise
            reason = f"digest differs from the sidecar's, and {error}"
            raise InventoryUnreadable(f"{root}/{INVENTORY}", code="E060", reason=reason) from error
        except BaseException:
            inventory.close()
            raise
        inventory.close()
        raise InventoryUnreadable(
            f"{root}/{INVENTORY}", code="E060", reason="digest differs from the sidecar's"
        )

    def sidecar(self, key: str) -> str:
        """The digest that the sidecar under a key gives; empty when it gives none. Raises ObjectMissing."""
        words = read_all(self.store, key, limit=_MAX_SIDECAR_BYTES).split()
        return words[0].decode("ascii", "replace") if words else ""

    def _digest(self, key: str) -> str:
        hasher = hashlib.sha512()
        with self.store.open(key) as stream:
            while chunk := stream.read(1 << 20):
                hasher.update(chunk)
        return hasher.hexdigest()

    def has_intact_version(self, root: str) -> bool:
        """Whether a version below an object root has an inventory that its sidecar confirms."""
        return self._intact_version(root) is not None

    def written_version(self, object_id: str) -> tuple[str, str] | None:
        """The newest version, committed or not, and its inventory's digest, which its sidecar confirms.

        None unless every version's sidecar confirms its own: one bad reading must not lead back to an
        earlier version.
        """
        return self._intact_version(self.layout.object_root(object_id))

    def _intact_version(self, root: str) -> tuple[str, str] | None:
        """The newest version and its inventory's digest, if every version's sidecar confirms its own."""
        good: tuple[str, str] | None = None
        for number in range(1, 10_000):
            try:
                digest = self._digest(f"{root}/v{number}/{INVENTORY}")
                if self.sidecar(f"{root}/v{number}/{SIDECAR}") != digest:
                    return None  # or it would go back to an earlier version because of one bad reading
            except ObjectMissing:
                break
            good = (f"v{number}", digest)
        return good

    def inventory_digest(self, object_id: str) -> str:
        """The SHA-512 of the root inventory's bytes. Raises ObjectMissing."""
        return self._digest(f"{self.layout.object_root(object_id)}/{INVENTORY}")

    @contextmanager
    def spooled(self, store: ObjectStore, key: str) -> Iterator[Upload]:
        """An object's bytes, as they are read now, in a file for as long as the context lasts.

        The upload it gives has the digest of just these bytes. Raises ObjectMissing.
        """
        with scratch_folder(self.scratch) as folder:
            path = folder / "object"
            with store.open(key) as stream, path.open("wb") as sink:
                size, digest = write_hashed(sink, iter(lambda: stream.read(1 << 20), b""))
            yield Upload(key, size, digest, path=path)

    def open(self, object_id: str, entry: InventoryEntry) -> AbstractContextManager[BinaryIO]:
        """The bytes of one file of an object. Raises ObjectMissing."""
        return self.store.open(self.key(object_id, entry))

    def key(self, object_id: str, entry: InventoryEntry) -> str:
        """Where the bytes of one file of an object are in the store."""
        return f"{self.layout.object_root(object_id)}/{entry.content}"

    def is_written(self, object_id: str, version: str, sha512: str) -> bool:
        """Whether a version lacks nothing but its commit: its own inventory is there, and confirmed.

        The inventory is put after all content was, so everything it names is stored.
        """
        return self._confirmed_digest(f"{self.layout.object_root(object_id)}/{version}") == sha512

    def version_names(self, object_id: str) -> set[str]:
        """The committed versions. Raises as ``inventory``."""
        with self.inventory(object_id) as inventory:
            return {version.name for version in inventory.versions}

    def has_remains(self, object_id: str) -> bool:
        """Whether anything at all lies where an object would."""
        return self._has_any(f"{self.layout.object_root(object_id)}/")

    def _has_any(self, prefix: str) -> bool:
        return any(True for _ in self.store.list(prefix))

    def has_confirmed_root(self, object_id: str) -> bool:
        """Whether the root inventory is there and its sidecar confirms it; hashed, not parsed."""
        return self._confirmed_digest(self.layout.object_root(object_id)) is not None

    def version_sidecar(self, object_id: str, version: str) -> str | None:
        """As ``sidecar``, of a version; None where there is none."""
        try:
            return self.sidecar(f"{self.layout.object_root(object_id)}/{version}/{SIDECAR}")
        except ObjectMissing:
            return None

    def grew_from(self, object_id: str, version: str, sha512: str) -> str | None:
        """The version after one that has this digest, if it was written here whole; its name.

        The root inventory is not asked: it may have rotted. Where the earlier version's own inventory
        has, nothing says that the newer one did not grow out of it.
        """
        newer = f"v{int(version.removeprefix('v')) + 1}"
        root = self.layout.object_root(object_id)
        if self._confirmed_digest(f"{root}/{version}") not in (None, sha512):
            return None
        return newer if self._confirmed_digest(f"{root}/{newer}") else None

    def lost_root(self, root: str) -> bool:
        """Whether only the root inventory of a committed object is lost: its versions are there, whole.

        A first version alone may be one that was never committed.
        """
        found = None if self.holds_root(root) else self._intact_version(root)
        return found is not None and found[0] != "v1"

    def has_version(self, object_id: str, version: str) -> bool:
        """Whether there is anything of a version, committed or not."""
        prefix = f"{self.layout.object_root(object_id)}/{version}/"
        return next(iter(self.store.list(prefix)), None) is not None

    def version_digest(self, object_id: str, version: str) -> str | None:
        """The SHA-512 of the inventory that a version was committed with; None where there is none."""
        try:
            return self._digest(f"{self.layout.object_root(object_id)}/{version}/{INVENTORY}")
        except ObjectMissing:
            return None

    def retention(self, object_id: str) -> Retention | None:
        """The lock the store itself keeps on the object; None where there is none."""
        if not isinstance(self.store, SupportsRetention):
            return None
        try:
            return self.store.retention(f"{self.layout.object_root(object_id)}/{INVENTORY}")
        except ObjectMissing:
            return None
