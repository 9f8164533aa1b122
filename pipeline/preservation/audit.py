"""The audit: every byte of every copy, a part each night, so that all are seen within the term."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from packages.package_file import timestamp
from packages.premis import EventOutcome, EventType
from pipeline.ingest import Archive
from pipeline.presence import absence
from pipeline.preservation.events import event
from pipeline.preservation.journal import write_journal
from pipeline.preservation.repair import Repaired, repair_copy
from storage.catalogue import AuditRow, CopyRow, DueCopy, EventRow
from storage.copies import ArchivalStore, CopyState
from storage.errors import StorageError, StoreUnavailable
from storage.fixity import CopyAudit, audit_copy, trusted_inventory

__all__ = ["AuditBudget", "AuditResult", "audit", "audit_one", "plan"]

_WRONG = {CopyState.DAMAGED, CopyState.MISSING}


@dataclass(frozen=True, slots=True)
class AuditBudget:
    """How often every copy is read, and how much one run may take."""

    ttl: timedelta
    max_bytes: int
    max_objects: int
    max_seconds: float
    repair: bool
    aside: Path
    everything: bool = False


@dataclass(frozen=True, slots=True)
class AuditResult:
    """One copy looked at, and what the repair made of it, if there was one."""

    seen: CopyAudit
    repaired: Repaired | None

    @property
    def state(self) -> CopyState:
        """As it is now."""
        return self.repaired.state if self.repaired else self.seen.state


def plan(archive: Archive, budget: AuditBudget) -> list[DueCopy]:
    """Tonight's copies, longest unseen first: total ÷ days of the term for each store.

    Copies beyond their term come on top, so that a backlog is worked off as the budget allows.
    """
    now = archive.clock()
    nights = max(1, math.ceil(budget.ttl / timedelta(days=1)))
    due: list[DueCopy] = []
    for store in archive.stores:
        if budget.everything:
            due += archive.catalogue.due(store.name, limit=budget.max_objects, before="9999")
            continue
        if not store.audited:
            continue
        counts = archive.catalogue.count_copies(store.name)
        share = math.ceil(sum(n for state, n in counts.items() if state != CopyState.OWED) / nights)
        overdue = timestamp(now - budget.ttl)
        late = archive.catalogue.due(store.name, limit=7 * share, before=overdue)
        turn = archive.catalogue.due(store.name, limit=share, before=timestamp(now))
        due += late if len(late) >= len(turn) else turn
    due.sort(key=lambda copy: (copy.looked, copy.aip, copy.store))
    return _within(due, budget.max_bytes)


def _within(due: Sequence[DueCopy], max_bytes: int) -> list[DueCopy]:
    chosen: list[DueCopy] = []
    total = 0
    for copy in due:
        total += copy.bytes
        if chosen and total > max_bytes:
            break
        chosen.append(copy)
    return chosen


def audit(archive: Archive, budget: AuditBudget) -> Iterator[AuditResult]:
    """Run tonight's audit; a run that was cut off is gone on with.

    Every copy's result is recorded before the next one is read.
    """
    planned = plan(archive, budget)
    if budget.everything:
        archive.catalogue.close_audits(timestamp(archive.clock()))
    run = archive.catalogue.begin_audit(len(planned), timestamp(archive.clock()))
    planned = planned[: max(run.planned - run.done, 0)] if run.done else planned
    stores = {store.name: store for store in archive.stores}
    began, objects = time.monotonic(), 0
    for copy in planned:
        if time.monotonic() - began > budget.max_seconds or objects >= budget.max_objects:
            break
        result = audit_one(archive, copy.aip, stores[copy.store], budget)
        objects += result.seen.objects
        run = _counted(archive, run, result)
        yield result
    archive.catalogue.save_audit(replace(run, finished=timestamp(archive.clock())))
    write_journal(archive)


def _counted(archive: Archive, run: AuditRow, result: AuditResult) -> AuditRow:
    wrong = result.seen.state in _WRONG
    run = replace(run, done=run.done + 1, bytes=run.bytes + result.seen.bytes, wrong=run.wrong + wrong)
    archive.catalogue.save_audit(run)
    return run


def audit_one(archive: Archive, aip: str, store: ArchivalStore, budget: AuditBudget) -> AuditResult:
    """Read one copy, record what was found, repair it where the policy says so."""
    row = archive.catalogue.aip(aip)
    assert row is not None, "asked for by the catalogue"
    reason = _absence(archive, store)
    if reason:
        seen = CopyAudit(store.name, aip, CopyState.UNREADABLE, reason=reason)
        _record(archive, seen, row.version)
        return AuditResult(seen, None)
    others = [one.repository for one in archive.stores if one is not store]
    trusted = trusted_inventory([store.repository, *others], aip, row.inventory_sha512)
    versions = archive.catalogue.version_digests(aip)
    if trusted is None:
        reason = "no store has the inventory that was committed"
        seen = CopyAudit(store.name, aip, _without_inventory(store, aip), reason=reason)
    else:
        seen = audit_copy(store.repository, aip, trusted, versions)
    _record(archive, seen, row.version)
    repaired = None
    if seen.state in _WRONG and budget.repair:
        try:
            repaired = repair_copy(archive, seen, store, budget.aside)
        except StorageError as error:  # one store that takes nothing must not stop the night
            seen = replace(seen, reason=f"not repaired: {error}")
    return AuditResult(seen, repaired)


def _absence(archive: Archive, store: ArchivalStore) -> str:
    try:
        return absence(store, archive.catalogue)
    except StoreUnavailable as error:
        return error.reason


def _without_inventory(store: ArchivalStore, aip: str) -> CopyState:
    try:
        return CopyState.DAMAGED if store.repository.holds(aip) else CopyState.MISSING
    except StorageError:
        return CopyState.UNREADABLE


def _record(archive: Archive, seen: CopyAudit, version: str) -> None:
    whole = seen.state is CopyState.VERIFIED
    now = timestamp(archive.clock())
    kinds = ", ".join(f"{finding.kind} {finding.key}" for finding in seen.findings[:5])
    detail = seen.reason or kinds
    archive.catalogue.set_copy(
        CopyRow(seen.object_id, seen.store, version, now if whole else "", str(seen.state), detail, now)
    )
    archive.catalogue.add_events(seen.object_id, _events(archive, seen))


def _events(archive: Archive, seen: CopyAudit) -> Iterator[EventRow]:
    """One for the copy; one more for each object that is wrong, with digest expected and found."""
    now = archive.clock()
    outcomes = {CopyState.VERIFIED: EventOutcome.SUCCESS, CopyState.UNREADABLE: EventOutcome.WARNING}
    yield event(
        EventType.FIXITY_CHECK, now, store=seen.store,
        detail=f"{seen.state}: {seen.objects} objects, {seen.bytes} bytes read and compared by SHA-512",
        note=seen.reason, outcome=outcomes.get(seen.state, EventOutcome.FAILURE),
    )  # fmt: skip
    for finding in seen.findings[:1000]:
        yield event(
            EventType.FIXITY_CHECK, now, store=seen.store, detail=f"{finding.kind}: {finding.key}",
            note=f"expected {finding.expected or 'nothing'}, found {finding.found or 'nothing'}",
            outcome=EventOutcome.FAILURE,
        )  # fmt: skip
