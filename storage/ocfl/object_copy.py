"""One object made equal, to the byte, to that of another repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from storage.errors import InventoryUnreadable, ObjectExists, WriteMismatch
from storage.ocfl.copier import Copier
from storage.ocfl.inventory import INVENTORY, SIDECAR, sidecar_bytes
from storage.ocfl.inventory_index import InventoryIndex
from storage.ocfl.layout import NAMASTE_OBJECT
from storage.ocfl.reader import OcflReader
from storage.ocfl.repository import OcflRepository
from storage.protocol import UNPROTECTED, Protection, Upload
from storage.scratch import scratch_folder

__all__ = ["copy_object"]


def copy_object(
    source: OcflReader,
    target: OcflRepository,
    object_id: str,
    *,
    first_attempt: bool = False,
    was_committed: bool = False,
    protection: Protection = UNPROTECTED,
) -> bool:
    """Make the target's copy of an object equal, to the byte, to the source's.

    A new object is copied whole, an older version is brought up to date. Returns whether every
    byte was written by this call: what was there before is not read. ``was_committed``: a copy was
    there once, so what is left of it is damaged and no garbage, and may be good where the source's
    is not. Raises ObjectMissing, InventoryUnreadable, and WriteMismatch when the source's bytes are
    not what its inventory says; then nothing is committed.
    """
    target.initialise()
    work = _Copy(source, target, object_id, protection)
    held = work.recovered() if was_committed else work.already_committed(first_attempt=first_attempt)
    work.copy(held=held)
    return not held


@dataclass(frozen=True, slots=True)
class _Copy:
    source: OcflReader
    target: OcflRepository
    object_id: str
    protection: Protection

    @property
    def root(self) -> str:
        return self.target.layout.object_root(self.object_id)

    @property
    def origin(self) -> str:
        return self.source.layout.object_root(self.object_id)

    def already_committed(self, *, first_attempt: bool) -> bool:
        """Whether a copy is committed here, or was but for its last writes; else nothing of it is left."""
        if first_attempt:
            return self.target.holds(self.object_id)
        try:
            self.target.remove_garbage(self.object_id, self.protection)
        except ObjectExists:
            self.target.heal(self.object_id, self.protection)
            return True
        return False

    def recovered(self) -> bool:
        """Whether a copy is committed here; nothing that is left of one is removed.

        Raises InventoryUnreadable when there are remains and no version vouches for itself.
        """
        target = self.target
        if target.holds(self.object_id) or target.finish_commit(self.object_id, self.protection):
            target.heal(self.object_id, self.protection)
            return True
        if target.has_remains(self.object_id):
            raise InventoryUnreadable(
                self.object_id, code="E063", reason="its inventory is lost, other objects of it are there; "
                "run “stele store repair”"
            )  # fmt: skip
        return False

    def copy(self, *, held: bool) -> None:
        """Content, then the inventories of its versions, the root inventory last."""
        root, origin, writer = self.root, self.origin, self.target.writer
        with self.source.inventory(self.object_id) as inventory:
            wanted = inventory.contents()
            if held:
                self._require_descendant()
                wanted = self._not_held_here(inventory)
            self._copy_content(wanted)
            known = self.target.version_names(self.object_id) if held else set()
            new = [version.name for version in inventory.versions if version.name not in known]
            head, digest = inventory.head, inventory.sha512
        # What is committed here already is never written over: the source's may have rotted.
        for version in new:
            confirmed = digest if version == head else self.source.sidecar(f"{origin}/{version}/{SIDECAR}")
            self._copy_inventory(f"{origin}/{version}", f"{root}/{version}", confirmed)
        writer.replace(Upload.of(f"{root}/{NAMASTE_OBJECT[0]}", NAMASTE_OBJECT[1]), self.protection)
        with self.target.undone_if_overtaken(self.object_id, self.protection):
            self._copy_inventory(origin, root, digest, commit=True)

    def _copy_inventory(self, origin: str, root: str, sha512: str, *, commit: bool = False) -> None:
        """Copy an inventory that must have this digest, and write the sidecar that goes with it.

        Raises WriteMismatch when the source gives other bytes.
        """
        with self.target.spooled(self.source.store, f"{origin}/{INVENTORY}") as upload:
            if upload.sha512 != sha512:
                raise WriteMismatch(f"{root}/{INVENTORY}", expected=sha512, found=upload.sha512)
            sidecar = Upload.of(f"{root}/{SIDECAR}", sidecar_bytes(sha512))
            inventory = replace(upload, key=f"{root}/{INVENTORY}")
            self.target.writer.replace(sidecar, self.protection)
            self.target.writer.replace(inventory, self.protection, commit=commit)

    def _copy_content(self, wanted: Iterable[tuple[str, str]]) -> None:
        def checked(upload: Upload) -> Upload:
            self.target.writer.check()
            return self.target.writer.locked(upload, self.protection)

        with scratch_folder(self.target.scratch) as folder:
            spool = folder / "object"
            Copier(self.source.store, self.origin, self.target.store, self.root, spool, checked).copy(
                wanted
            )

    def _not_held_here(self, inventory: InventoryIndex) -> Iterator[tuple[str, str]]:
        """What a later version brought: nothing of it can be committed here yet.

        What a killed copy left of it goes first, for nothing is ever written over.
        """
        known = self.target.version_names(self.object_id)
        with self.target.inventory(self.object_id) as ours:
            for version in inventory.versions:
                if version.name not in known:
                    self.target.writer.delete_below(f"{self.root}/{version.name}/")
            for content, digest in inventory.contents():
                if ours.digest_of(content) is None:
                    yield content, digest

    def _require_descendant(self) -> None:
        """Raises InventoryUnreadable unless the source's object grew out of just our version.

        Two copies that went different ways are nothing a program may decide about.
        """
        source, target = self.source, self.target
        with target.inventory(self.object_id) as inventory:
            head, digest = inventory.head, inventory.sha512
        found = source.version_digest(self.object_id, head)
        if digest in (found, source.version_sidecar(self.object_id, head)):
            return  # one of the two may have rotted
        if found is None:
            raise InventoryUnreadable(
                self.object_id, code="E063",
                reason=f"“{source.store.name}” has lost the inventory of {head}; run “stele store repair”, "
                "then “stele store replicate”",
            )  # fmt: skip
        raise InventoryUnreadable(
            self.object_id, code="E066",
            reason=f"{head} in “{target.store.name}” is not the one that “{source.store.name}” has; "
            "compare both before one is replaced",
        )  # fmt: skip
