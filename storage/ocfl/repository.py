"""Writing and reading OCFL objects through an object store."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from packages.escaping import for_log
from storage.copying import write_hashed
from storage.errors import (
    InventoryUnreadable,
    LeaseLost,
    ObjectExists,
    ObjectMissing,
    StorageError,
    WriteMismatch,
)
from storage.fence import UNFENCED, Fence
from storage.ocfl.copier import Copier
from storage.ocfl.inventory import (
    INVENTORY,
    SIDECAR,
    FirstInventory,
    InventoryEntry,
    StoredVersion,
    VersionInfo,
    sidecar_bytes,
)
from storage.ocfl.inventory_index import InventoryIndex, next_inventory_parts, read_inventory
from storage.ocfl.layout import NAMASTE_OBJECT, NAMASTE_ROOT, HashAndIdLayout, content_path
from storage.protocol import (
    UNPROTECTED,
    ListsFolders,
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

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileToStore:
    """A file to be stored: logical path in the object, fixity, and where its bytes are now."""

    logical: str
    size: int
    sha512: str
    path: Path
    ours: bool = True


@dataclass(frozen=True, slots=True)
class StagedVersion:
    """A version whose content is in the store and whose inventory waits in ``path`` to be committed."""

    object_id: str
    facts: StoredVersion
    path: Path
    size: int


_MAX_SIDECAR_BYTES = 1 << 16


class OcflRepository:
    """An OCFL storage root in an object store.

    The root inventory is written last; that write commits the version. Whatever a crash leaves
    before it is garbage no reader sees, and the next attempt at the same object removes it. Every
    write to an object goes through here, and asks the fence first.
    """

    _fence: Fence = UNFENCED

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

    def fenced(self, fence: Fence) -> OcflRepository:
        """The same repository, of which every write asks ``fence`` first."""
        fenced = copy.copy(self)
        fenced._fence = fence
        return fenced

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
            return digest if self._sidecar(f"{folder}/{SIDECAR}") == digest else None
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
            return read_inventory(
                stream, key, size=size, scratch=self._scratch, every_version=every_version
            )

    def inventory(self, object_id: str, *, every_version: bool = False) -> InventoryIndex:
        """The object's inventory, checked against its sidecar; to be closed after use.

        ``every_version`` also loads the files of earlier versions. Raises ObjectMissing;
        InventoryUnreadable when it is damaged.
        """
        root = self.layout.object_root(object_id)
        inventory = self.read_inventory(f"{root}/{INVENTORY}", every_version=every_version)
        try:
            if self._sidecar(f"{root}/{SIDECAR}") == inventory.sha512:
                return inventory
            # Killed between the two writes that commit a later version: the inventory is the old
            # one, whole, and its own version folder vouches for it.
            if self._sidecar(f"{root}/{inventory.head}/{SIDECAR}") == inventory.sha512:
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

    def _sidecar(self, key: str) -> str:
        words = read_all(self.store, key, limit=_MAX_SIDECAR_BYTES).split()
        return words[0].decode("ascii", "replace") if words else ""

    def _digest(self, key: str) -> str:
        hasher = hashlib.sha512()
        with self.store.open(key) as stream:
            while chunk := stream.read(1 << 20):
                hasher.update(chunk)
        return hasher.hexdigest()

    def finish_commit(
        self,
        object_id: str,
        protection: Protection = UNPROTECTED,
        known: tuple[str, str] | None = None,
    ) -> bool:
        """Bring an unreadable root inventory back from the newest version that vouches for itself.

        ``known`` is a version and its inventory's digest where somebody else vouches for them.

        It is what a commit needs to be finished whose last write arrived damaged, and what heals a
        root inventory that rotted: everything a version's inventory names was stored and proved
        before it was written. False when no version can vouch.
        """
        root = self.layout.object_root(object_id)
        good = known or self._intact_version(root)
        if good is None:
            return False
        version, digest = good
        name, declaration = NAMASTE_OBJECT
        small = {name: declaration, SIDECAR: sidecar_bytes(digest)}
        for key, content in small.items():  # the declaration too: a killed commit may lack it
            self._replace(Upload.of(f"{root}/{key}", content), protection)
        with self.spooled(self.store, f"{root}/{version}/{INVENTORY}") as inventory:
            if inventory.sha512 != digest:  # it reads otherwise than a moment ago: nothing to rely on
                return False
            self._replace(replace(inventory, key=f"{root}/{INVENTORY}"), protection, commit=True)
        return True

    def has_intact_version(self, root: str) -> bool:
        """Whether a version below an object root has an inventory that its sidecar confirms."""
        return self._intact_version(root) is not None

    def written_version(self, object_id: str) -> tuple[str, str] | None:
        """The newest version, committed or not, and its inventory's digest, which its sidecar confirms."""
        return self._intact_version(self.layout.object_root(object_id))

    def _intact_version(self, root: str) -> tuple[str, str] | None:
        """The newest version and its inventory's digest, if every version's sidecar confirms its own."""
        good: tuple[str, str] | None = None
        for number in range(1, 10_000):
            try:
                digest = self._digest(f"{root}/v{number}/{INVENTORY}")
                if self._sidecar(f"{root}/v{number}/{SIDECAR}") != digest:
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
        with scratch_folder(self._scratch) as folder:
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

    def create(
        self,
        object_id: str,
        files: Iterable[FileToStore],
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
            self._put(uploads(), protection, progress)
            return self._commit(object_id, inventory.parts(), protection)
        finally:
            inventory.close()

    def add_version(
        self,
        object_id: str,
        changed: Iterable[FileToStore],
        removed: Iterable[str],
        info: VersionInfo,
        *,
        opaque: bool = False,
        protection: Protection = UNPROTECTED,
    ) -> StoredVersion:
        """Stage a version and commit it at once; see ``staged``."""
        with self.staged(object_id, changed, removed, info, opaque=opaque, protection=protection) as staged:
            self.commit(staged, protection)
        return staged.facts

    @contextmanager
    def staged(
        self,
        object_id: str,
        changed: Iterable[FileToStore],
        removed: Iterable[str],
        info: VersionInfo,
        *,
        opaque: bool = False,
        protection: Protection = UNPROTECTED,
    ) -> Iterator[StagedVersion]:
        """Store the bytes of a new version that no earlier one has, and make its inventory ready.

        ``changed`` are new or replaced logical files, ``removed`` logical paths that go. One writer
        at a time, which the caller's lease assures. What a killed attempt at this version left is
        removed first. Readers see nothing of it before ``commit``. Raises ObjectMissing,
        InventoryUnreadable.
        """
        root = self.layout.object_root(object_id)
        with (
            self.inventory(object_id, every_version=True) as inventory,
            scratch_folder(self._scratch) as folder,
        ):
            version = f"v{len(inventory.versions) + 1}"
            self._delete_below(f"{root}/{version}/")
            files = list(changed)
            added: dict[str, str] = {}
            self._put(self._new_content(inventory, root, version, files, added, opaque), protection)
            path = folder / INVENTORY
            logical = ((file.logical, file.sha512) for file in files)
            parts = next_inventory_parts(inventory, version, info, logical, removed, added.items())
            with path.open("wb") as sink:
                size, digest = write_hashed(sink, parts)
            yield StagedVersion(
                object_id, StoredVersion(version, info.created, info.message, digest), path, size
            )

    @staticmethod
    def _new_content(
        inventory: InventoryIndex,
        root: str,
        version: str,
        files: Iterable[FileToStore],
        added: dict[str, str],
        opaque: bool,
    ) -> Iterator[Upload]:
        """Uploads of what no version has; ``added`` learns where each is."""
        for file in files:
            if file.sha512 not in added and inventory.content_of(file.sha512) is None:
                content = content_path(version, file.logical, file.sha512, opaque=opaque)
                added[file.sha512] = content
                yield Upload(f"{root}/{content}", file.size, file.sha512, path=file.path, ours=file.ours)

    def commit(self, staged: StagedVersion, protection: Protection = UNPROTECTED) -> None:
        """Make a staged version the newest one; the last write, the root inventory, does it."""
        root = self.layout.object_root(staged.object_id)
        version, digest = staged.facts.version, staged.facts.inventory_sha512
        sidecar = sidecar_bytes(digest)
        inventory = Upload(f"{root}/{version}/{INVENTORY}", staged.size, digest, path=staged.path)
        self.store.sync()  # all content is durable before this inventory, which is the proof of it
        # Put, not replaced: a writer that stood still until others took over must not write over theirs.
        self._put([inventory, Upload.of(f"{root}/{version}/{SIDECAR}", sidecar)], protection)
        with self._undone_if_overtaken(staged.object_id, protection):
            self._replace(Upload.of(f"{root}/{SIDECAR}", sidecar), protection)
            self._replace(replace(inventory, key=f"{root}/{INVENTORY}"), protection, commit=True)

    @contextmanager
    def _undone_if_overtaken(self, object_id: str, protection: Protection) -> Iterator[None]:
        """Around the writes of an object's root. A process that stands still between its question for the
        lease and its write writes what may be out of date when it goes on. It learns so from its next
        question, and puts the root back to the newest version that is there; that is no work on the AIP.

        Should it die before, the audit finds the root inventory to be damaged, and repairs it.
        """
        try:
            yield
            self._fence.confirm()
        except LeaseLost:
            root, unfenced = self.layout.object_root(object_id), self.fenced(UNFENCED)
            try:
                if not unfenced.finish_commit(object_id, protection) and not self._has_any(f"{root}/v"):
                    for name in (INVENTORY, SIDECAR):  # it was removed meanwhile
                        self.store.delete(f"{root}/{name}")
            except StorageError as error:
                _LOG.warning("the root of %s was not put right: %s", object_id, for_log(error))
            raise

    def is_written(self, object_id: str, version: str, sha512: str) -> bool:
        """Whether a version lacks nothing but its commit: its own inventory is there, and confirmed.

        The inventory is put after all content was, so everything it names is stored.
        """
        return self._confirmed_digest(f"{self.layout.object_root(object_id)}/{version}") == sha512

    def discard(self, object_id: str, version: str) -> int:
        """Delete what was written for a version that was never committed; the number of objects."""
        if self.store.size(f"{self.layout.object_root(object_id)}/{INVENTORY}") is None:
            return 0
        if version in self._version_names(object_id):
            raise ObjectExists(f"{object_id} {version}")
        number = self._delete_below(f"{self.layout.object_root(object_id)}/{version}/")
        self.store.sync()
        return number

    def sweep(self, root: str) -> int:
        """Delete what an interrupted write left below an object root; the number of objects.

        Raises ObjectExists when an object is committed there.
        """
        if self.holds_root(root):
            raise ObjectExists(root)
        return self._delete_below(f"{root}/")

    def replace_object(self, upload: Upload, protection: Protection) -> None:
        """Write one object of a committed version again, as a repair does."""
        self._fence.confirm()
        self.store.replace(self.locked(upload, protection))

    def delete_key(self, key: str) -> None:
        """Delete one key of an object, as a repair or a sweep does; earlier S3 versions of it stay."""
        self._fence.confirm()
        self.store.delete(key)

    def _put(
        self, uploads: Iterable[Upload], protection: Protection, progress: Progress | None = None
    ) -> None:
        def checked() -> Iterator[Upload]:
            for upload in uploads:
                self._fence.check()
                yield self.locked(upload, protection)

        self.store.put(checked(), progress)

    def _replace(self, upload: Upload, protection: Protection, *, commit: bool = False) -> None:
        if commit:
            self._fence.confirm()
        else:
            self._fence.check()
        self.store.replace(self.locked(upload, protection))

    def _delete_below(self, prefix: str, delete: Callable[[str], None] | None = None) -> int:
        """Delete all objects of an object root or of a version; how many there were.

        ``delete`` deletes one key; None is the store's own. Listed a page at a time: keys may be a million.
        """
        delete = delete or self.store.delete
        number = 0
        for inventories in (True, False):  # inventories first: they prove content that goes then
            for key in self.store.list(prefix):
                if key.endswith(f"/{INVENTORY}") is not inventories:
                    continue
                if number % 1000 == 0:
                    self._fence.confirm()
                self._fence.check()
                delete(key)
                number += 1
        # Deleting a folder's last key takes the folder too, but not when it was killed in between.
        if isinstance(self.store, ListsFolders):
            self._fence.check()
            self.store.remove_empty_folders(prefix)
        return number

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

    @property
    def enforces_holds(self) -> bool:
        """Whether the store itself refuses to delete what is under a hold."""
        return self._lock_mode is not None and self._keeps_holds

    def set_hold(self, object_id: str, *, held: bool) -> bool:
        """Have the store itself refuse the object's removal, or refuse it no longer.

        False where locks are not configured or not kept. Raises StoreUnavailable: then some of the
        objects may be held and some not, and calling it again finishes it.
        """
        store = self.store
        if self._lock_mode is None or not isinstance(store, SupportsLegalHold) or not self._keeps_holds:
            return False
        keys = list(store.list(f"{self.layout.object_root(object_id)}/"))
        self._fence.confirm()
        with ThreadPoolExecutor(store.connections, thread_name_prefix="hold") as pool:
            for done in [pool.submit(store.set_legal_hold, key, held=held) for key in keys]:
                done.result()
        return bool(keys)

    def _commit(self, object_id: str, inventory: Iterable[bytes], protection: Protection) -> str:
        """Write inventories and declaration; the root inventory last, which is the commit."""
        root = self.layout.object_root(object_id)
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
            self._put(parts, protection)
            with self._undone_if_overtaken(object_id, protection):
                self._replace(replace(first, key=f"{root}/{INVENTORY}"), protection, commit=True)
        return digest

    def copy_from(
        self,
        source: OcflRepository,
        object_id: str,
        *,
        first_attempt: bool = False,
        was_committed: bool = False,
        protection: Protection = UNPROTECTED,
    ) -> bool:
        """Make this copy of an object equal, to the byte, to another repository's.

        A new object is copied whole, an older version is brought up to date. Returns whether every
        byte was written by this call: what was here before is not read. ``was_committed``: a copy was
        here once, so what is left of it is damaged and no garbage, and may be good where the source's
        is not. Raises ObjectMissing, InventoryUnreadable, and WriteMismatch when the source's bytes are
        not what its inventory says; then nothing is committed.
        """
        self.initialise()
        root, origin = self.layout.object_root(object_id), source.layout.object_root(object_id)
        if was_committed:
            held = self._recovered(object_id, protection)
        else:
            held = self._already_committed(object_id, protection, first_attempt=first_attempt)
        with source.inventory(object_id) as inventory:
            wanted = inventory.contents()
            if held:
                self._require_descendant(source, object_id)
                wanted = self._not_held_here(inventory, object_id)
            self._copy_content(wanted, source.store, origin, root, protection)
            known = self._version_names(object_id) if held else set()
            new = [version.name for version in inventory.versions if version.name not in known]
            head, digest = inventory.head, inventory.sha512
        # What is committed here already is never written over: the source's may have rotted.
        for version in new:
            confirmed = digest if version == head else source._sidecar(f"{origin}/{version}/{SIDECAR}")
            self._copy_inventory(source, f"{origin}/{version}", f"{root}/{version}", confirmed, protection)
        self._replace(Upload.of(f"{root}/{NAMASTE_OBJECT[0]}", NAMASTE_OBJECT[1]), protection)
        with self._undone_if_overtaken(object_id, protection):
            self._copy_inventory(source, origin, root, digest, protection, commit=True)
        return not held

    def _copy_inventory(
        self,
        source: OcflRepository,
        origin: str,
        root: str,
        sha512: str,
        protection: Protection,
        *,
        commit: bool = False,
    ) -> None:
        """Copy an inventory that must have this digest, and write the sidecar that goes with it.

        Raises WriteMismatch when the source gives other bytes.
        """
        with self.spooled(source.store, f"{origin}/{INVENTORY}") as upload:
            if upload.sha512 != sha512:
                raise WriteMismatch(f"{root}/{INVENTORY}", expected=sha512, found=upload.sha512)
            sidecar = Upload.of(f"{root}/{SIDECAR}", sidecar_bytes(sha512))
            inventory = replace(upload, key=f"{root}/{INVENTORY}")
            self._replace(sidecar, protection)
            self._replace(inventory, protection, commit=commit)

    def _version_names(self, object_id: str) -> set[str]:
        with self.inventory(object_id) as inventory:
            return {version.name for version in inventory.versions}

    def _copy_content(
        self,
        wanted: Iterable[tuple[str, str]],
        source: ObjectStore,
        origin: str,
        root: str,
        protection: Protection,
    ) -> None:
        def checked(upload: Upload) -> Upload:
            self._fence.check()
            return self.locked(upload, protection)

        with scratch_folder(self._scratch) as folder:
            Copier(source, origin, self.store, root, folder / "object", checked).copy(wanted)

    def _not_held_here(self, inventory: InventoryIndex, object_id: str) -> Iterator[tuple[str, str]]:
        """What a later version brought: nothing of it can be committed here yet.

        What a killed copy left of it goes first, for nothing is ever written over.
        """
        known, root = self._version_names(object_id), self.layout.object_root(object_id)
        with self.inventory(object_id) as ours:
            for version in inventory.versions:
                if version.name not in known:
                    self._delete_below(f"{root}/{version.name}/")
            for content, digest in inventory.contents():
                if ours.digest_of(content) is None:
                    yield content, digest

    def _already_committed(self, object_id: str, protection: Protection, *, first_attempt: bool) -> bool:
        """Whether a copy is committed here, or was but for its last writes; else nothing of it is left."""
        if first_attempt:
            return self.holds(object_id)
        try:
            self.remove_garbage(object_id, protection)
        except ObjectExists:
            self.heal(object_id, protection)
            return True
        return False

    def _recovered(self, object_id: str, protection: Protection) -> bool:
        """Whether a copy is committed here; nothing that is left of one is removed.

        Raises InventoryUnreadable when there are remains and no version vouches for itself.
        """
        if self.holds(object_id) or self.finish_commit(object_id, protection):
            self.heal(object_id, protection)
            return True
        if self.has_remains(object_id):
            raise InventoryUnreadable(
                object_id, code="E063", reason="its inventory is lost, other objects of it are there; run "
                "“stele store repair”"
            )  # fmt: skip
        return False

    def has_remains(self, object_id: str) -> bool:
        """Whether anything at all lies where an object would."""
        return self._has_any(f"{self.layout.object_root(object_id)}/")

    def _has_any(self, prefix: str) -> bool:
        return any(True for _ in self.store.list(prefix))

    def has_confirmed_root(self, object_id: str) -> bool:
        """Whether the root inventory is there and its sidecar confirms it; hashed, not parsed."""
        return self._confirmed_digest(self.layout.object_root(object_id)) is not None

    def heal(self, object_id: str, protection: Protection) -> None:
        """Bring back a root inventory that is lost or has rotted, where a version vouches for it.

        Raises ObjectMissing, InventoryUnreadable where none does.
        """
        try:
            self.inventory(object_id).close()
        except (InventoryUnreadable, ObjectMissing):
            if not self.finish_commit(object_id, protection):
                raise

    def _require_descendant(self, source: OcflRepository, object_id: str) -> None:
        """Raises InventoryUnreadable unless the source's object grew out of just our version.

        Two copies that went different ways are nothing a program may decide about.
        """
        with self.inventory(object_id) as inventory:
            head, digest = inventory.head, inventory.sha512
        found = source.version_digest(object_id, head)
        if digest in (found, source._version_sidecar(object_id, head)):  # one of the two may have rotted
            return
        if found is None:
            raise InventoryUnreadable(
                object_id, code="E063", reason=f"“{source.store.name}” has lost the inventory of {head}; "
                "run “stele store repair”, then “stele store replicate”",
            )  # fmt: skip
        raise InventoryUnreadable(
            object_id, code="E066", reason=f"{head} in “{self.store.name}” is not the one "
            f"that “{source.store.name}” has; compare both before one is replaced",
        )  # fmt: skip

    def _version_sidecar(self, object_id: str, version: str) -> str | None:
        try:
            return self._sidecar(f"{self.layout.object_root(object_id)}/{version}/{SIDECAR}")
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

    def remove(self, object_id: str) -> None:
        """Take an object away. Its root inventory goes first, so that no reader sees a part of it;
        what a crash leaves is garbage, and removing again finishes it."""
        root = self.layout.object_root(object_id)
        self._fence.confirm()
        self._purge(f"{root}/{INVENTORY}")
        self._delete_below(f"{root}/", self._purge)
        self.store.sync()  # or a power cut would bring back what is said to be removed

    def _purge(self, key: str) -> None:
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
        return self._delete_below(f"{root}/")
