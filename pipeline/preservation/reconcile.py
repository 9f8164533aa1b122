"""Catalogue and storage compared in both directions, and what was left behind swept away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pipeline.archive import Archive
from pipeline.holdings.leases import leased_aip
from storage.catalogue import AipRow, CopyRow
from storage.errors import Busy, LeaseLost, StorageError, StoreUnavailable
from storage.ocfl.scan import FoundObject, root_of_key, scan_empty_folders, scan_objects
from storage.protocol import ObjectEntry, TracksIncompleteUploads
from storage.replicas.store import ArchivalStore
from storage.states import AipState, CopyState

__all__ = ["Difference", "DifferenceKind", "reconcile", "sweep"]


class DifferenceKind(StrEnum):
    """How catalogue and storage can disagree."""

    NOT_IN_STORE = "not in store"  # the catalogue promises a copy, the store has none
    NOT_IN_CATALOGUE = "not in catalogue"  # the store has an object that is in no catalogue row
    NOT_COMMITTED = "not committed"  # what an interrupted write left; “stele store sweep” removes it
    FOREIGN = "foreign"  # files where no AIP of this archive can lie: a person decides, no sweep removes it
    LEFT_OVER = "left over"  # an upload that was never finished, or a dead probe's scratch
    IN_USE = "in use"  # another process works on it; nothing can be said of it now


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement. ``subject`` is an AIP or an object root."""

    kind: DifferenceKind
    store: str
    subject: str
    objects: int
    bytes: int


def reconcile(archive: Archive) -> Iterator[Difference]:
    """Every disagreement, store by store; missing copies are recorded as such.

    The listing of a store is old when it ends, so each disagreement is looked at again under the
    AIP's lease before it is told.
    """
    for store in archive.stores:
        roots = {found.root: found for found in _scan(store)}
        for aip in archive.catalogue.aips.all():
            found = roots.pop(store.repository.layout.object_root(aip.id), None)
            if found is None or not found.committed:
                yield from _missing(archive, store, aip)
        for root in sorted(roots):
            yield from _unknown(archive, store, roots[root])


def _scan(store: ArchivalStore) -> Iterator[FoundObject]:
    """Everything that lies where objects lie, and every empty folder that a write of ours left."""
    yield from scan_objects(store.repository.store)
    for found in scan_empty_folders(store.repository.store):
        if store.repository.layout.is_ours(found.root):
            yield found


def _is_foreign(store: ArchivalStore, found: FoundObject) -> bool:
    return found.objects > 0 and not store.repository.layout.is_ours(found.root)


def _missing(archive: Archive, store: ArchivalStore, aip: AipRow) -> Iterator[Difference]:
    """A copy the listing lacked: recorded as missing when it is due there and still is not."""
    copy = archive.catalogue.copies.get(aip.id, store.name)
    if copy is None or copy.state == CopyState.PENDING:
        return
    try:
        with leased_aip(archive, aip.id, "reconciliation") as leased:
            row = leased.row
            copy = leased.archive.catalogue.copies.get(aip.id, store.name)
            if row is None or row.state != AipState.KEPT or copy is None or copy.state == CopyState.PENDING:
                return
            if store.repository.holds(aip.id):
                return
            detail = "found missing when catalogue and storage were compared"
            state = str(CopyState.MISSING)
            leased.archive.catalogue.copies.put(
                CopyRow(aip.id, store.name, copy.version, "", state, detail)
            )
    except (Busy, LeaseLost, StoreUnavailable) as error:
        _raise_if_catalogue(archive, error)
        yield Difference(DifferenceKind.IN_USE, store.name, aip.id, 0, 0)
        return
    yield Difference(DifferenceKind.NOT_IN_STORE, store.name, aip.id, aip.files, aip.bytes)


def _unknown(archive: Archive, store: ArchivalStore, found: FoundObject) -> Iterator[Difference]:
    """An object root that belongs to no AIP the catalogue keeps or is removing, unless one was taken in
    meanwhile."""
    aip = store.repository.layout.object_id(found.root)
    try:
        with _nobody_writes(archive, aip):
            row = archive.catalogue.aips.get(aip) if aip else None
            if row is not None and row.state in (AipState.KEPT, AipState.REMOVING):
                return
            if store.repository.holds_root(found.root):
                yield Difference(DifferenceKind.NOT_IN_CATALOGUE, store.name, found.root, 0, 0)
            elif _is_foreign(store, found):
                yield _difference(DifferenceKind.FOREIGN, store, found)
            elif any(True for _ in store.repository.store.list(f"{found.root}/")) == (found.objects > 0):
                yield _difference(DifferenceKind.NOT_COMMITTED, store, found)
    except (Busy, LeaseLost, StoreUnavailable) as error:
        _raise_if_catalogue(archive, error)
        yield Difference(DifferenceKind.IN_USE, store.name, aip or found.root, 0, 0)


def _raise_if_catalogue(archive: Archive, error: StorageError) -> None:
    """Without the catalogue nothing can be compared; a store out of reach concerns one AIP."""
    if isinstance(error, StoreUnavailable) and error.store == archive.catalogue.name:
        raise error


@contextmanager
def _nobody_writes(archive: Archive, aip: str | None) -> Iterator[Archive]:
    """Hold the lease that a writer of this root would hold. Raises Busy while one works."""
    if aip is None:  # no id of ours is stored at this place, so no writer of ours can be at it
        yield archive
        return
    with leased_aip(archive, aip, "sweep") as leased:
        yield leased.archive


def sweep(archive: Archive, older_than: timedelta, *, remove: bool) -> Iterator[Difference]:
    """What interrupted writes left; removed only when asked. A committed object is never touched.

    A write in progress is known by its lease. ``older_than`` only limits what is shown and removed;
    it protects nothing, and zero means everything, whatever the clocks of the stores say. What no
    write of this archive can have left is shown and stays.
    """
    limit = archive.clock() - older_than if older_than else datetime.max.replace(tzinfo=UTC)
    for store in archive.stores:
        for found in _scan(store):
            if found.committed or found.newest > limit:
                continue
            if _is_foreign(store, found):
                yield _difference(DifferenceKind.FOREIGN, store, found)
            else:
                yield from _swept(archive, store, found, remove=remove)
        target = store.repository.store
        if isinstance(target, TracksIncompleteUploads):
            for entry in target.leftovers(limit):
                yield from _swept_leftover(archive, store, target, entry, remove=remove)


def _swept(
    archive: Archive, store: ArchivalStore, found: FoundObject, *, remove: bool
) -> Iterator[Difference]:
    aip = store.repository.layout.object_id(found.root)
    try:
        with _nobody_writes(archive, aip) as leased:
            repository = next(one for one in leased.stores if one.name == store.name).repository
            row = leased.catalogue.aips.get(aip) if aip else None
            if row is not None and row.state in (AipState.KEPT, AipState.REMOVING):
                return  # a copy that lost its root inventory, or what a hold keeps of a removal cut off
            if repository.holds_root(found.root) or repository.has_intact_version(found.root):
                return  # committed since it was listed, or but for its last write
            if remove:
                repository.sweep(found.root)
    except (Busy, LeaseLost, StoreUnavailable) as error:
        _raise_if_catalogue(archive, error)
        yield Difference(DifferenceKind.IN_USE, store.name, aip or found.root, 0, 0)
        return
    yield _difference(DifferenceKind.NOT_COMMITTED, store, found)


def _swept_leftover(
    archive: Archive,
    store: ArchivalStore,
    target: TracksIncompleteUploads,
    entry: ObjectEntry,
    *,
    remove: bool,
) -> Iterator[Difference]:
    """An upload that was never finished, removed when nobody is at the AIP it belongs to."""
    root = root_of_key(entry.key)
    aip = store.repository.layout.object_id(root) if root else None
    try:
        with _nobody_writes(archive, aip):
            if remove:
                target.remove_leftover(entry)
    except (Busy, LeaseLost, StoreUnavailable) as error:
        _raise_if_catalogue(archive, error)
        yield Difference(DifferenceKind.IN_USE, store.name, aip or entry.key, 0, 0)
        return
    yield Difference(DifferenceKind.LEFT_OVER, store.name, entry.key, 1, entry.size)


def _difference(kind: DifferenceKind, store: ArchivalStore, found: FoundObject) -> Difference:
    return Difference(kind, store.name, found.root, found.objects, found.bytes)
