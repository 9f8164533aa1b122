"""Making pending copies: for stores that were out of reach, lost theirs, or came later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packages.package_file import timestamp
from packages.premis import EventOutcome, EventType
from pipeline.archive import Archive
from pipeline.holdings.events import event
from pipeline.holdings.leases import leased_aip
from pipeline.holdings.presence import require_present
from pipeline.holdings.protection import protection_of
from storage.catalogue import AipRow, CopyRow, EventRow
from storage.errors import (
    Busy,
    InventoryUnreadable,
    LeaseLost,
    ObjectMissing,
    StorageError,
    StoreUnavailable,
)
from storage.ocfl.object_copy import copy_object
from storage.replicas.fixity import audit_copy, trusted_inventory
from storage.replicas.store import ArchivalStore
from storage.states import AipState, CopyState

__all__ = ["Replicated", "replicate", "replicate_leased"]


_OUTCOMES = {CopyState.VERIFIED: EventOutcome.SUCCESS, CopyState.UNREADABLE: EventOutcome.WARNING}
_FOR_REPAIR = {CopyState.DAMAGED, CopyState.UNREADABLE, CopyState.UNVERIFIED}


@dataclass(frozen=True, slots=True)
class Replicated:
    """What became of one copy. ``reason`` says why it could not be made.

    ``skipped``: another process works on the AIP; the copy stays pending.
    """

    aip: str
    store: str
    source: str
    made: bool
    reason: str
    skipped: bool = False


def replicate(archive: Archive, stores: Sequence[ArchivalStore] | None = None) -> Iterator[Replicated]:
    """Fill every store (or those given) with what it lacks. Running it again costs little.

    Updates that were cut off are finished first. What is damaged is left to repair, which looks at
    every object before it replaces one.
    """
    for aip in archive.catalogue.versions.all_planned():
        try:
            with leased_aip(archive, aip, "replication"):
                pass  # taking the lease finishes the version
        except (Busy, LeaseLost) as error:
            yield Replicated(aip, "", "", False, str(error), skipped=True)
        except StoreUnavailable as error:
            if error.store == archive.catalogue.name:
                raise
            yield Replicated(aip, error.store, "", False, str(error))
    for target in stores or archive.stores:
        for aip in archive.catalogue.copies.lacking(target.name):
            copy = archive.catalogue.copies.get(aip, target.name)
            if copy is None or copy.state not in _FOR_REPAIR or _is_outdated(archive, copy):
                yield _replicate_one(archive, aip, target)


def _is_outdated(archive: Archive, copy: CopyRow) -> bool:
    """Whether a copy only lacks a later version: then copying brings it up to date."""
    row = archive.catalogue.aips.get(copy.aip)
    return row is not None and copy.version != row.version and copy.state != CopyState.DAMAGED


def _replicate_one(archive: Archive, aip: str, target: ArchivalStore) -> Replicated:
    try:
        with leased_aip(archive, aip, "replication") as leased:
            row = leased.row
            if row is None or row.state != AipState.KEPT:
                return Replicated(aip, target.name, "", False, "it was removed meanwhile", skipped=True)
            own = next(one for one in leased.archive.stores if one.name == target.name)
            return replicate_leased(leased.archive, row, own)
    except (Busy, LeaseLost) as error:
        return Replicated(aip, target.name, "", False, str(error), skipped=True)
    except StoreUnavailable as error:
        if error.store == archive.catalogue.name:
            raise
        return Replicated(aip, target.name, "", False, str(error))


def replicate_leased(archive: Archive, row: AipRow, target: ArchivalStore) -> Replicated:
    """Make one copy from the first store that can give every byte right, and read all of it then.

    Runs under the AIP's lease.
    """
    catalogue = archive.catalogue
    good = set(catalogue.copies.stores_with_verified(row.id))
    known = catalogue.copies.get(row.id, target.name)
    sources = sorted(archive.stores, key=lambda one: one.name not in good)
    reason = "no other store holds it"
    for source in sources:
        if source is target:
            continue
        try:
            require_present(target, catalogue)
            copy_object(
                source.repository, target.repository, row.id, was_committed=bool(known and known.version),
                protection=protection_of(catalogue, row),
            )  # fmt: skip
            return _confirmed(archive, row, target, source)
        except LeaseLost:
            raise
        except (StorageError, OSError) as error:  # another source may do; the last reason is recorded
            reason = f"{source.name}: {error}"
    if not _is_readable(target, row.id, known):  # what it holds already is in the way: repair's business
        now = timestamp(archive.clock())
        version = known.version if known and known.version else row.version
        catalogue.copies.put(CopyRow(row.id, target.name, version, "", str(CopyState.DAMAGED), reason, now))
    else:
        _record_pending(archive, row, target, reason)
    return Replicated(row.id, target.name, "", False, reason)


def _is_readable(target: ArchivalStore, aip: str, known: CopyRow | None) -> bool:
    """Whether a copy can be brought up to date: there is none yet, or its inventory can be read."""
    try:
        target.repository.inventory(aip).close()
    except InventoryUnreadable:
        return False
    except ObjectMissing:  # the inventory or what confirms it is lost, unless there never was one
        return not _is_in_the_way(target, aip, known)
    except StorageError:
        return True  # it cannot be asked now
    return True


def _is_in_the_way(target: ArchivalStore, aip: str, known: CopyRow | None) -> bool:
    """Whether a copy lies there that is damaged: of one that was committed once whatever is left of it."""
    repository = target.repository
    is_there = repository.has_remains if known is not None and known.version else repository.holds
    try:
        return is_there(aip)
    except StorageError:
        return False


def _confirmed(archive: Archive, row: AipRow, target: ArchivalStore, source: ArchivalStore) -> Replicated:
    aip, versions = row.id, archive.catalogue.versions.digests(row.id)
    with trusted_inventory([target.repository], aip, row.inventory_sha512) as trusted:
        if trusted is None:
            if target.repository.inventory_digest(aip) == row.inventory_sha512:
                raise StoreUnavailable(target.name, "its inventory could not be read")
            reason = f"{source.name} holds another version than the catalogue says"
            now = timestamp(archive.clock())
            archive.catalogue.copies.put(
                CopyRow(aip, target.name, row.version, "", str(CopyState.DAMAGED), reason, now)
            )
            return Replicated(aip, target.name, source.name, False, reason)
        seen = audit_copy(target.repository, aip, trusted, versions)
    intact = seen.state is CopyState.VERIFIED
    reason = "" if intact else seen.reason or f"{seen.wrong} object(s) wrong after copying"
    when = archive.clock()
    happened = event(
        EventType.REPLICATION, when, store=target.name,
        detail=f"{row.version} copied from {source.name}: {seen.objects} objects, "
        f"{seen.bytes} bytes, inventory SHA-512 {row.inventory_sha512}",
        note=reason, outcome=_OUTCOMES.get(seen.state, EventOutcome.FAILURE),
    )  # fmt: skip
    if seen.state is CopyState.UNREADABLE:  # it went away before it could be read: still pending
        _record_pending(archive, row, target, reason, [happened])
    else:
        now = timestamp(when)
        archive.catalogue.copies.put(
            CopyRow(aip, target.name, row.version, now if intact else "", str(seen.state), reason, now),
            [happened],
        )
    return Replicated(aip, target.name, source.name, intact, reason)


def _record_pending(
    archive: Archive, row: AipRow, target: ArchivalStore, reason: str, events: Sequence[EventRow] = ()
) -> None:
    """The copy is still to be made; the version it may hold already stays known, and so does it that
    it was there once and is missing: then the audit goes on telling of it."""
    known = archive.catalogue.copies.get(row.id, target.name)
    version = known.version if known else ""
    missing = known is not None and known.state == CopyState.MISSING
    state = CopyState.MISSING if missing else CopyState.PENDING
    archive.catalogue.copies.put(CopyRow(row.id, target.name, version, "", str(state), reason), events)
