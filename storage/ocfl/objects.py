"""Writing and reading OCFL objects through an object store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from packages.digest import sha512_hex
from storage.copying import write_hashed
from storage.errors import InventoryUnreadable, ObjectExists, ObjectMissing
from storage.ocfl.copier import Copier
from storage.ocfl.inventory import (
    INVENTORY,
    SIDECAR,
    FirstInventory,
    Inventory,
    InventoryEntry,
    StoredVersion,
    VersionInfo,
    next_inventory,
    parse_inventory,
    sidecar_bytes,
)
from storage.ocfl.layout import NAMASTE_OBJECT, NAMASTE_ROOT, HashAndIdLayout, content_path
from storage.protocol import (
    UNPROTECTED,
    LockMode,
    ObjectStore,
    Progress,
    Protection,
    Purges,
    Retention,
    SupportsLegalHold,
    SupportsRetention,
    Upload,
    read_all,
)
from storage.scratch import scratch_folder


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file to be stored: logical path in the object, fixity, and where its bytes are now."""

    logical: str
    size: int
    sha512: str
    path: Path
    ours: bool = True


class OcflRepository:
    """An OCFL storage root in an object store.

    The root inventory is written last; that write commits the version. Whatever a crash leaves
    before it is garbage no reader sees, and the next attempt at the same object removes it.
    """

    def __init__(
        self,
        store: ObjectStore,
        layout: HashAndIdLayout | None = None,
        lock_mode: LockMode | None = None,
        scratch: Path | None = None,
    ) -> None:
        """``lock_mode`` locks, in a store that can, every object that has a day to be kept until.

        ``scratch`` is where what must be spooled goes; None = the system's temporary folder.
        """
        self._scratch = scratch
        self.store = store
        self._lock_mode = lock_mode
        self.layout = layout or HashAndIdLayout()
        self._initialised = False

    def exists(self) -> bool:
        """Whether there is a storage root. Asked anew each time: disks are unmounted at night."""
        return self.store.size(NAMASTE_ROOT[0]) is not None

    def initialise(self) -> None:
        """Make the storage root if it is not there yet; looked at once a process, before a write."""
        if self._initialised or self.exists():
            self._initialised = True
            return
        for key, content in self.layout.root_files().items():
            if self.store.size(key) is None:
                self.store.replace(Upload.of(key, content))
        self._initialised = True

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
        key = f"{root}/{INVENTORY}"
        found = parse_inventory(read_all(self.store, key), key).object_id
        if self.layout.object_root(found) != root:
            raise InventoryUnreadable(key, code="E010", reason=f"{found} does not belong at this place")
        return found

    def versions(self, object_id: str) -> Iterator[StoredVersion]:
        """Every version's facts, oldest first, each with the digest of its own inventory."""
        root = self.layout.object_root(object_id)
        inventory = self.inventory(object_id)
        for version, block in inventory.versions.items():
            content = read_all(self.store, f"{root}/{version}/{INVENTORY}")
            yield StoredVersion(version, block["created"], block.get("message", ""), sha512_hex(content))

    def head(self, object_id: str) -> str | None:
        """The newest version of an object (``v1``…), None when there is none."""
        try:
            return self.inventory(object_id).head
        except ObjectMissing:
            return None

    def inventory(self, object_id: str) -> Inventory:
        """The object's inventory, checked against its sidecar.

        Raises ObjectMissing; InventoryUnreadable when it is damaged.
        """
        root = self.layout.object_root(object_id)
        content = read_all(self.store, f"{root}/{INVENTORY}")
        digest = sha512_hex(content)
        if self._sidecar(f"{root}/{SIDECAR}") == digest:
            return parse_inventory(content, f"{root}/{INVENTORY}")
        # Killed between the two writes that commit a later version: the inventory is the old one,
        # whole, and its own version folder vouches for it.
        try:
            inventory = parse_inventory(content, f"{root}/{INVENTORY}")
            vouched = self._sidecar(f"{root}/{inventory.head}/{SIDECAR}") == digest
        except (InventoryUnreadable, ObjectMissing):
            vouched = False
        if not vouched:
            raise InventoryUnreadable(
                f"{root}/{INVENTORY}", code="E060", reason="digest differs from the sidecar's"
            )
        return inventory

    def _sidecar(self, key: str) -> str:
        words = read_all(self.store, key).split()
        return words[0].decode("ascii", "replace") if words else ""

    def finish_commit(self, object_id: str, protection: Protection = UNPROTECTED) -> bool:
        """Bring an unreadable root inventory back from the newest version that vouches for itself.

        It is what a commit needs to be finished whose last write arrived damaged, and what heals a
        root inventory that rotted: everything a version's inventory names was stored and proved
        before it was written. False when no version can vouch.
        """
        root = self.layout.object_root(object_id)
        good = self._vouched(root)
        if good is None:
            return False
        name, declaration = NAMASTE_OBJECT
        small = {name: declaration, SIDECAR: sidecar_bytes(sha512_hex(good)), INVENTORY: good}
        for name, content in small.items():  # the declaration too: a killed commit may lack it
            self.store.replace(self.locked(Upload.of(f"{root}/{name}", content), protection))
        return True

    def vouched(self, root: str) -> bool:
        """Whether a version below an object root has an inventory that its sidecar confirms."""
        return self._vouched(root) is not None

    def _vouched(self, root: str) -> bytes | None:
        good: bytes | None = None
        for number in range(1, 10_000):
            try:
                content = read_all(self.store, f"{root}/v{number}/{INVENTORY}")
                if self._sidecar(f"{root}/v{number}/{SIDECAR}") != sha512_hex(content):
                    return None  # or it would go back to an earlier version because of one bad reading
                good = content
            except ObjectMissing:
                break
        return good

    def inventory_digest(self, object_id: str) -> str:
        """The SHA-512 of the root inventory's bytes. Raises ObjectMissing."""
        return sha512_hex(read_all(self.store, f"{self.layout.object_root(object_id)}/{INVENTORY}"))

    def open(self, object_id: str, entry: InventoryEntry) -> AbstractContextManager[BinaryIO]:
        """The bytes of one file of an object. Raises ObjectMissing."""
        return self.store.open(self.key(object_id, entry))

    def key(self, object_id: str, entry: InventoryEntry) -> str:
        """Where the bytes of one file of an object are in the store."""
        return f"{self.layout.object_root(object_id)}/{entry.content}"

    def create(
        self,
        object_id: str,
        files: Iterable[StoredFile],
        info: VersionInfo,
        *,
        opaque: bool = False,
        first_attempt: bool = False,
        protection: Protection = UNPROTECTED,
        progress: Progress | None = None,
    ) -> str:
        """Store version v1 and return the SHA-512 of its inventory.

        ``files`` come in the order of their digests. ``first_attempt`` says that nothing of this
        object can be in the store yet, so that not even its own prefix need be listed.
        Raises ObjectExists when the object is committed already.
        """
        self.initialise()
        root = self.layout.object_root(object_id)
        if not first_attempt:
            # A killed attempt may have left other metadata under other keys.
            self.remove_garbage(object_id, protection)
        inventory = FirstInventory(object_id, info)

        def uploads() -> Iterator[Upload]:
            digest, content = "", ""
            for file in files:
                new = file.sha512 != digest
                if new:
                    digest = file.sha512
                    content = content_path("v1", file.logical, digest, opaque=opaque)
                inventory.add(InventoryEntry(digest, file.logical, content))
                if new:  # each content once, however often it occurs
                    yield Upload(f"{root}/{content}", file.size, digest, path=file.path, ours=file.ours)
                elif progress:
                    progress(file.size)

        try:
            self.store.put((self.locked(upload, protection) for upload in uploads()), progress)
            return self._commit(root, inventory.parts(), protection)
        finally:
            inventory.close()

    def add_version(
        self,
        object_id: str,
        changed: Iterable[StoredFile],
        removed: Iterable[str],
        info: VersionInfo,
        *,
        opaque: bool = False,
        protection: Protection = UNPROTECTED,
    ) -> StoredVersion:
        """Commit a new version that stores only bytes no earlier version has.

        ``changed`` are new or replaced logical files, ``removed`` logical paths that go. One writer
        at a time, which the caller sees to. What a killed attempt at this version left is removed
        first. Raises ObjectMissing, InventoryUnreadable.
        """
        root = self.layout.object_root(object_id)
        inventory = self.inventory(object_id)
        version = f"v{len(inventory.versions) + 1}"
        for key in list(self.store.list(f"{root}/{version}/")):
            self.store.delete(key)
        state = {entry.logical: entry.sha512 for entry in inventory.state()}
        for logical in removed:
            del state[logical]
        added: dict[str, str] = {}
        uploads = []
        for file in changed:
            state[file.logical] = file.sha512
            if file.sha512 not in inventory.manifest and file.sha512 not in added:
                content = content_path(version, file.logical, file.sha512, opaque=opaque)
                added[file.sha512] = content
                uploads.append(
                    Upload(f"{root}/{content}", file.size, file.sha512, path=file.path, ours=file.ours)
                )
        self.store.put(self.locked(upload, protection) for upload in uploads)
        content_bytes = next_inventory(inventory, version, info, state, added)
        digest = sha512_hex(content_bytes)
        sidecar = sidecar_bytes(digest)
        parts = [
            Upload.of(f"{root}/{version}/{INVENTORY}", content_bytes),
            Upload.of(f"{root}/{version}/{SIDECAR}", sidecar),
        ]
        self.store.put(self.locked(part, protection) for part in parts)
        self.store.replace(self.locked(Upload.of(f"{root}/{SIDECAR}", sidecar), protection))
        self.store.replace(self.locked(Upload.of(f"{root}/{INVENTORY}", content_bytes), protection))
        return StoredVersion(version, info.created, info.message, digest)

    def locked(self, upload: Upload, protection: Protection) -> Upload:
        """The upload with what makes the store itself keep it, where locks are configured."""
        if self._lock_mode is None:
            return upload
        if protection.until is not None:
            upload = replace(upload, retain_until=protection.until, lock_mode=self._lock_mode)
        return replace(upload, legal_hold=True) if protection.held and self._keeps_holds else upload

    @property
    def _keeps_holds(self) -> bool:
        return isinstance(self.store, SupportsLegalHold) and self.store.keeps_legal_holds

    def set_hold(self, object_id: str, *, held: bool) -> bool:
        """Have the store itself refuse the object's removal, or refuse it no longer.

        False where locks are not configured or not kept. Raises StoreUnavailable: then some of the
        objects may be held and some not, and calling it again finishes it.
        """
        store = self.store
        if self._lock_mode is None or not isinstance(store, SupportsLegalHold) or not self._keeps_holds:
            return False
        keys = list(store.list(f"{self.layout.object_root(object_id)}/"))
        with ThreadPoolExecutor(store.connections, thread_name_prefix="hold") as pool:
            for done in [pool.submit(store.set_legal_hold, key, held=held) for key in keys]:
                done.result()
        return bool(keys)

    def _commit(self, root: str, inventory: Iterable[bytes], protection: Protection) -> str:
        """Write inventories and declaration; the root inventory last, which is the commit."""
        with scratch_folder(self._scratch) as folder:
            path = folder / INVENTORY
            with path.open("wb") as sink:
                size, digest = write_hashed(sink, inventory)
            sidecar = sidecar_bytes(digest)
            first = Upload(f"{root}/v1/{INVENTORY}", size, digest, path=path)
            small = {
                f"{root}/v1/{SIDECAR}": sidecar,
                f"{root}/{NAMASTE_OBJECT[0]}": NAMASTE_OBJECT[1],
                f"{root}/{SIDECAR}": sidecar,
            }
            parts = [first, *(Upload.of(key, content) for key, content in small.items())]
            self.store.put(self.locked(part, protection) for part in parts)
            self.store.replace(self.locked(replace(first, key=f"{root}/{INVENTORY}"), protection))
        return digest

    def copy_from(
        self,
        source: OcflRepository,
        object_id: str,
        *,
        first_attempt: bool = False,
        protection: Protection = UNPROTECTED,
    ) -> None:
        """Make this copy of an object equal, to the byte, to another repository's.

        A new object is copied whole, an older version is brought up to date. Raises ObjectMissing,
        InventoryUnreadable, and WriteMismatch when the source's bytes are not what its inventory
        says; then nothing is committed.
        """
        self.initialise()
        inventory = source.inventory(object_id)
        here: set[str] = set()
        if self._held_after_all(object_id, protection, first_attempt=first_attempt):
            manifest = self._earlier_version_of(source, object_id).manifest
            here = {content for contents in manifest.values() for content in contents}
        root, origin = self.layout.object_root(object_id), source.layout.object_root(object_id)
        with scratch_folder(self._scratch) as folder:
            copier = Copier(
                source.store, origin, self.store, root, folder / "object",
                lambda upload: self.locked(upload, protection),
            )  # fmt: skip
            wanted = (
                (content, digest)
                for digest, contents in inventory.manifest.items()
                for content in contents
                if content not in here
            )
            copier.copy(wanted)
        small = [f"{v}/{name}" for v in inventory.versions for name in (INVENTORY, SIDECAR)]
        for name in (*small, NAMASTE_OBJECT[0], SIDECAR, INVENTORY):
            content = read_all(source.store, f"{origin}/{name}")
            self.store.replace(self.locked(Upload.of(f"{root}/{name}", content), protection))

    def _held_after_all(self, object_id: str, protection: Protection, *, first_attempt: bool) -> bool:
        """Whether a copy is committed here, or was but for its last writes; else nothing of it is left."""
        if first_attempt:
            return self.holds(object_id)
        try:
            self.remove_garbage(object_id, protection)
        except ObjectExists:
            return True
        return False

    def _earlier_version_of(self, source: OcflRepository, object_id: str) -> Inventory:
        """Our inventory, if the source's object grew out of just this version.

        Raises InventoryUnreadable otherwise: two copies that went different ways are nothing a
        program may decide about.
        """
        ours = self.inventory(object_id)
        theirs = f"{source.layout.object_root(object_id)}/{ours.head}/{INVENTORY}"
        with suppress(ObjectMissing):
            if sha512_hex(read_all(source.store, theirs)) == self.inventory_digest(object_id):
                return ours
        raise InventoryUnreadable(
            object_id, code="E066", reason=f"{ours.head} in “{self.store.name}” is not the one "
            f"that “{source.store.name}” has; compare both before one is replaced",
        )  # fmt: skip

    def remove(self, object_id: str) -> None:
        """Take an object away. Its root inventory goes first, so that no reader sees a part of it;
        what a crash leaves is garbage, and removing again finishes it."""
        root = self.layout.object_root(object_id)
        self._delete(f"{root}/{INVENTORY}")
        for key in list(self.store.list(f"{root}/")):
            self._delete(key)

    def _delete(self, key: str) -> None:
        """With all its versions, where the store keeps them: a removal must not leave bytes behind."""
        if isinstance(self.store, Purges):
            self.store.purge(key)
        else:
            self.store.delete(key)

    def retention(self, object_id: str) -> Retention | None:
        """The lock the store itself keeps on the object; None where there is none."""
        if not isinstance(self.store, SupportsRetention):
            return None
        try:
            return self.store.retention(f"{self.layout.object_root(object_id)}/{INVENTORY}")
        except ObjectMissing:
            return None

    def remove_garbage(self, object_id: str, protection: Protection = UNPROTECTED) -> int:
        """Delete what an uncommitted attempt left; the number of objects removed.

        Raises ObjectExists when the object is committed: then nothing of it is garbage. So also
        when only the root inventory is lost and a version still vouches for itself; it is put back.
        """
        root = self.layout.object_root(object_id)
        if self.holds(object_id) or self.finish_commit(object_id, protection):
            raise ObjectExists(object_id)
        keys = list(self.store.list(f"{root}/"))
        for key in keys:
            self.store.delete(key)
        return len(keys)
