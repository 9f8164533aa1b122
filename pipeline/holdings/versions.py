"""A new version of a stored AIP, in every store: planned, committed, brought to the others, registered.

Each step can be done again. Killed after any of them, whoever has the AIP's lease next finds the plan
in the catalogue and either finishes the version or removes what was written for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from packages.escaping import for_log
from pipeline.archive import Archive
from pipeline.errors import DamagedArchive
from pipeline.holdings.format_changes import apply_changes
from pipeline.holdings.presence import require_present
from pipeline.holdings.protection import protection_of
from pipeline.holdings.stored_record import ForeignObject, read_stored_record
from storage.catalogue import AipRow, CopyRow, PlannedVersionRow
from storage.errors import InventoryUnreadable, LeaseLost, ObjectMissing, StorageError, StoreUnavailable
from storage.ocfl.inventory import StoredVersion, VersionInfo
from storage.ocfl.object_copy import copy_object
from storage.ocfl.repository import FileToStore
from storage.replicas.store import ArchivalStore, Role
from storage.states import AipState, CopyState

_LOG = logging.getLogger(__name__)
__all__ = ["CommittedVersion", "commit_version", "finish_planned_version"]


@dataclass(frozen=True, slots=True)
class CommittedVersion:
    """A version that is registered; ``pending`` are stores that do not hold it, each with the reason."""

    facts: StoredVersion
    pending: tuple[tuple[str, str], ...]


def commit_version(
    archive: Archive,
    row: AipRow,
    first: ArchivalStore,
    files: Iterable[FileToStore],
    removed: Iterable[str],
    info: VersionInfo,
    *,
    opaque: bool,
    request: str = "",
) -> CommittedVersion:
    """Make the next version in ``first``, bring it to the other stores, register it.

    ``archive`` and ``row`` come from under the AIP's lease. Raises StoreUnavailable where ``first``
    cannot be written (nothing is registered then; a version that was written but for its last object
    is finished by whoever has the lease next) or another required store cannot (the version is
    registered, and replication brings it there). ``request`` is the fingerprint of what was asked for.
    """
    catalogue, protection = archive.catalogue, protection_of(archive.catalogue, row)
    intent = PlannedVersionRow(_next(row.version), "", info.created, info.message, first.name, request)
    catalogue.versions.plan(row.id, intent)
    with first.repository.staged(
        row.id, files, removed, info, opaque=opaque, protection=protection
    ) as staged:
        plan = replace(intent, inventory_sha512=staged.facts.inventory_sha512)
        catalogue.versions.plan(row.id, plan)
        first.repository.commit(staged, protection)
    committed = _bring_forward(archive, row, first, staged.facts, request)
    required = {one.name for one in archive.stores if one.role is Role.REQUIRED}
    for name, reason in committed.pending:
        if name in required:
            raise StoreUnavailable(
                name, f"{reason}. {staged.facts.version} of {row.id} is kept in “{first.name}”; when the "
                "store can be used again, run “stele store replicate”"
            )  # fmt: skip
    return committed


def finish_planned_version(archive: Archive, row: AipRow) -> bool:
    """End what an update that was cut off began; whether there was one. Runs under the AIP's lease.

    Raises StoreUnavailable when the store that may have committed the version cannot be asked.
    """
    plan = archive.catalogue.versions.planned(row.id)
    return plan is not None and _finish(archive, row, plan)


def _finish(archive: Archive, row: AipRow, plan: PlannedVersionRow) -> bool:
    if row.state != AipState.KEPT:
        archive.catalogue.versions.drop_plan(row.id)  # a removal takes every version
        return True
    try:
        holder = _holder(archive, row, plan) if plan.inventory_sha512 else None
        if holder is None:
            for one in archive.stores:
                if one.name != plan.store:
                    continue
                if _root_digest(one, row.id) != row.inventory_sha512:
                    return False  # it rotted, or was read wrong a moment ago: what is there stays planned
                one.repository.discard(row.id, plan.version)
            archive.catalogue.versions.drop_plan(row.id)
            return True
        facts = StoredVersion(plan.version, plan.created, plan.message, plan.inventory_sha512)
        _bring_forward(archive, row, holder, facts, plan.request)
    except (DamagedArchive, ForeignObject, InventoryUnreadable, ObjectMissing) as error:
        # Its description is damaged in every store, so it cannot be registered, or what is there cannot
        # be read. The audit tells of the damage; the plan stays for when it has been repaired.
        _LOG.warning("%s of %s cannot be registered: %s", plan.version, row.id, for_log(error))
        return False
    return True


def _holder(archive: Archive, row: AipRow, plan: PlannedVersionRow) -> ArchivalStore | None:
    """A store that has committed the planned version, or does so here; None if none can.

    A version of which everything but the root inventory was written is finished, not undone: that
    last write may have been sent, and may still arrive. The other stores get a version only after the
    first one has committed it, so its answer decides.
    """
    first = next((one for one in archive.stores if one.name == plan.store), None)
    others = [one for one in archive.stores if one is not first]
    if first is not None:
        require_present(first, archive.catalogue)
        digest = _root_digest(first, row.id)
        if digest != plan.inventory_sha512:
            planned = (plan.version, plan.inventory_sha512)
            written = planned if first.repository.is_written(row.id, *planned) else None
            if written or digest != row.inventory_sha512:  # its last write arrived damaged, or rotted since
                first.repository.finish_commit(row.id, protection_of(archive.catalogue, row), written)
                digest = _root_digest(first, row.id)
        if digest == plan.inventory_sha512:
            return first
        if digest == row.inventory_sha512:
            return None
    for one in others:
        try:
            if _root_digest(one, row.id) == plan.inventory_sha512:
                return one
        except StoreUnavailable:
            continue  # it cannot be the only one that has it while ``first`` answers
    return None


def _root_digest(store: ArchivalStore, aip: str) -> str:
    try:
        return store.repository.inventory_digest(aip)
    except ObjectMissing:
        return ""


def _bring_forward(
    archive: Archive, row: AipRow, first: ArchivalStore, facts: StoredVersion, request: str
) -> CommittedVersion:
    """Copy a committed version to the stores that held the one before, and register it."""
    protection = protection_of(archive.catalogue, row)
    failed: dict[str, str] = {}
    committed = {copy.store for copy in archive.catalogue.copies.of(row.id) if copy.version}
    for one in archive.stores:
        if one is first:
            continue
        try:
            require_present(one, archive.catalogue)
            copy_object(
                first.repository, one.repository, row.id,
                was_committed=one.name in committed, protection=protection,
            )  # fmt: skip
        except LeaseLost:  # concerns all that is done here, not one copy
            raise
        except StorageError as error:
            failed[one.name] = error.reason if isinstance(error, StoreUnavailable) else str(error)
    holders = [first, *(one for one in archive.stores if one is not first and one.name not in failed)]
    record = read_stored_record([one.repository for one in holders], row.id, archive.work)
    if record.aip.inventory_sha512 != facts.inventory_sha512:
        reason = f"{facts.version} of {row.id} cannot be read back"
        raise StoreUnavailable(first.name, reason)
    archive.catalogue.aips.register(
        record.aip,
        copies=_carried_over(archive, row, facts, failed),
        formats=record.formats,
        events=record.events,
        files=record.files(),
        message=facts.message,
        version_created=facts.created,
        request=request,
        durable=True,
    )
    for row_of_event in archive.catalogue.events.of(row.id):  # formats that were found to be others since
        if row_of_event.store:
            apply_changes(archive, row.id, row_of_event)
    return CommittedVersion(facts, tuple(failed.items()))


def _carried_over(
    archive: Archive, row: AipRow, facts: StoredVersion, failed: dict[str, str]
) -> Iterator[CopyRow]:
    """What is known of the copies now: the new objects were proved on arrival, nothing else was read.

    So a copy keeps the state and the date of whoever last read all of it.
    """
    known = {copy.store: copy for copy in archive.catalogue.copies.of(row.id)}
    for name in archive.store_names:
        before = known.pop(name, None)
        if name in failed:
            yield _pending(row.id, name, before, failed[name])
        elif before is None or before.state in (CopyState.PENDING, CopyState.MISSING):
            # Written now as a whole or in part, and read by nobody since.
            yield CopyRow(row.id, name, facts.version, "", str(CopyState.UNVERIFIED), "", "")
        else:
            yield replace(before, version=facts.version)
    yield from known.values()  # of stores that are not configured at the moment


def _pending(aip: str, store: str, before: CopyRow | None, reason: str) -> CopyRow:
    """A copy that lacks the newest version. What is known of the bytes it does hold stays known."""
    if before is None:
        return CopyRow(aip, store, "", "", str(CopyState.PENDING), reason, "")
    if before.state in (CopyState.DAMAGED, CopyState.MISSING):
        return before
    return replace(before, state=str(CopyState.PENDING), detail=reason)


def _next(version: str) -> str:
    return f"v{int(version.removeprefix('v')) + 1}"
