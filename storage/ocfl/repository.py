"""OCFL objects made, changed and removed through an object store."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from packages.escaping import for_log
from storage.copying import write_hashed
from storage.errors import (
    InventoryUnreadable,
    LeaseLost,
    ObjectExists,
    ObjectMissing,
    StorageError,
)
from storage.fence import UNFENCED, Fence
from storage.ocfl.inventory import (
    INVENTORY,
    SIDECAR,
    FirstInventory,
    InventoryEntry,
    StoredVersion,
    VersionInfo,
    sidecar_bytes,
)
from storage.ocfl.inventory_index import InventoryIndex, next_inventory_parts
from storage.ocfl.layout import NAMASTE_OBJECT, HashAndIdLayout, content_path
from storage.ocfl.reader import OcflReader
from storage.ocfl.writer import FencedWriter
from storage.protocol import (
    UNPROTECTED,
    LockMode,
    ObjectStore,
    Progress,
    Protection,
    Upload,
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


class OcflRepository(OcflReader):
    """An OCFL storage root in which objects are made, changed and removed.

    The root inventory is written last; that write commits the version. Whatever a crash leaves
    before it is garbage no reader sees, and the next attempt at the same object removes it. Every
    write to an object goes through ``writer``, which asks the fence first.
    """

    def __init__(
        self,
        store: ObjectStore,
        layout: HashAndIdLayout | None = None,
        lock_mode: LockMode | None = None,
        scratch: Path | None = None,
    ) -> None:
        """``lock_mode`` and ``scratch``: see ``FencedWriter`` and ``OcflReader``."""
        super().__init__(store, layout, scratch)
        self.writer = FencedWriter(store, UNFENCED, lock_mode)
        self._initialised = False

    def fenced(self, fence: Fence) -> OcflRepository:
        """The same repository, of which every write asks ``fence`` first."""
        fenced = copy.copy(self)
        fenced.writer = self.writer.under(fence)
        return fenced

    def initialise(self) -> None:
        """Make the storage root if it is not there yet; looked at once a process, before a write."""
        if self._initialised or self.exists():
            self._initialised = True
            return
        for key, content in self.layout.root_files().items():
            if self.store.size(key) is None:
                self.store.replace(Upload.of(key, content))
        self._initialised = True

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
            self.writer.replace(Upload.of(f"{root}/{key}", content), protection)
        with self.spooled(self.store, f"{root}/{version}/{INVENTORY}") as inventory:
            if inventory.sha512 != digest:  # it reads otherwise than a moment ago: nothing to rely on
                return False
            self.writer.replace(replace(inventory, key=f"{root}/{INVENTORY}"), protection, commit=True)
        return True

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
            self.writer.put(uploads(), protection, progress)
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
            scratch_folder(self.scratch) as folder,
        ):
            version = f"v{len(inventory.versions) + 1}"
            self.writer.delete_below(f"{root}/{version}/")
            files = list(changed)
            added: dict[str, str] = {}
            self.writer.put(self._new_content(inventory, root, version, files, added, opaque), protection)
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
        self.writer.put([inventory, Upload.of(f"{root}/{version}/{SIDECAR}", sidecar)], protection)
        with self.undone_if_overtaken(staged.object_id, protection):
            self.writer.replace(Upload.of(f"{root}/{SIDECAR}", sidecar), protection)
            self.writer.replace(replace(inventory, key=f"{root}/{INVENTORY}"), protection, commit=True)

    @contextmanager
    def undone_if_overtaken(self, object_id: str, protection: Protection) -> Iterator[None]:
        """Around the writes of an object's root, of which the inventory is the last. A process that stands
        still between its question for the lease and that write writes what may be out of date when it goes
        on. It learns so from its next question, and puts the root back to the newest version that is there;
        that is no work on the AIP. Whoever learns it before that write has nothing to put back, and must
        not: the one who took over may be clearing away the version that would be made the newest.

        Should it die before, the audit finds the root inventory to be damaged, and repairs it.
        """
        yield
        try:
            self.writer.confirm()
        except LeaseLost:
            root, unfenced = self.layout.object_root(object_id), self.fenced(UNFENCED)
            try:
                if not unfenced.finish_commit(object_id, protection) and not self._has_any(f"{root}/v"):
                    for name in (INVENTORY, SIDECAR):  # it was removed meanwhile
                        self.store.delete(f"{root}/{name}")
            except StorageError as error:
                _LOG.warning("the root of %s was not put right: %s", object_id, for_log(error))
            raise

    def discard(self, object_id: str, version: str) -> int:
        """Delete what was written for a version that was never committed; the number of objects."""
        if self.store.size(f"{self.layout.object_root(object_id)}/{INVENTORY}") is None:
            return 0
        if version in self.version_names(object_id):
            raise ObjectExists(f"{object_id} {version}")
        number = self.writer.delete_below(f"{self.layout.object_root(object_id)}/{version}/")
        self.store.sync()
        return number

    def sweep(self, root: str) -> int:
        """Delete what an interrupted write left below an object root; the number of objects.

        Raises ObjectExists when an object is committed there.
        """
        if self.holds_root(root):
            raise ObjectExists(root)
        return self.writer.delete_below(f"{root}/")

    def _commit(self, object_id: str, inventory: Iterable[bytes], protection: Protection) -> str:
        """Write inventories and declaration; the root inventory last, which is the commit."""
        root = self.layout.object_root(object_id)
        with scratch_folder(self.scratch) as folder:
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
            self.writer.put(parts, protection)
            with self.undone_if_overtaken(object_id, protection):
                self.writer.replace(replace(first, key=f"{root}/{INVENTORY}"), protection, commit=True)
        return digest

    def heal(self, object_id: str, protection: Protection) -> None:
        """Bring back a root inventory that is lost or has rotted, where a version vouches for it.

        Raises ObjectMissing, InventoryUnreadable where none does.
        """
        try:
            self.inventory(object_id).close()
        except (InventoryUnreadable, ObjectMissing):
            if not self.finish_commit(object_id, protection):
                raise

    def remove(self, object_id: str) -> None:
        """Take an object away. Its root inventory goes first, so that no reader sees a part of it;
        what a crash leaves is garbage, and removing again finishes it."""
        root = self.layout.object_root(object_id)
        self.writer.purge(f"{root}/{INVENTORY}")
        self.writer.delete_below(f"{root}/", purge=True)
        self.store.sync()  # or a power cut would bring back what is said to be removed

    def remove_garbage(self, object_id: str, protection: Protection = UNPROTECTED) -> int:
        """Delete what an uncommitted attempt left; the number of objects removed.

        Raises ObjectExists when the object is committed: then nothing of it is garbage. So also
        when only the root inventory is lost and a version still vouches for itself; it is put back.
        """
        root = self.layout.object_root(object_id)
        if self.holds(object_id) or self.finish_commit(object_id, protection):
            raise ObjectExists(object_id)
        return self.writer.delete_below(f"{root}/")

    def set_hold(self, object_id: str, *, held: bool) -> bool:
        """See ``FencedWriter.set_hold``."""
        return self.writer.set_hold(f"{self.layout.object_root(object_id)}/", held=held)
