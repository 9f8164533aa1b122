"""The audit: every byte of every copy, a part each night, so that all are seen within the term."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from packages.package_file import timestamp
from packages.premis import EventOutcome, EventType
from pipeline.archive import Archive
from pipeline.holdings.events import event
from pipeline.holdings.journal import write_journal
from pipeline.holdings.leases import leased_aip
from pipeline.holdings.presence import missing_reason
from pipeline.preservation.repair import Repaired, repair_copy
from storage.catalogue import AipRow, AuditRow, CopyRow, DueCopy, EventRow
from storage.errors import Busy, LeaseLost, StorageError, StoreUnavailable
from storage.ocfl.inventory import INVENTORY
from storage.replicas.fixity import CopyAudit, audit_copy, trusted_inventory
from storage.replicas.store import ArchivalStore
from storage.states import AipState, CopyState

__all__ = ["AuditBudget", "AuditResult", "audit", "audit_one", "plan", "repair_all"]

_LOG = logging.getLogger(__name__)
_WRONG = {CopyState.DAMAGED, CopyState.MISSING}
_MAX_FINDING_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class AuditBudget:
    """How often every copy is read, and how much one run may take."""

    ttl: timedelta
    max_bytes: int
    max_objects: int
    max_seconds: float
    repair: bool
    quarantine: Path
    everything: bool = False


@dataclass(frozen=True, slots=True)
class AuditResult:
    """One copy that was read, and what the repair made of it, if there was one.

    ``skipped`` says why it was not read: another process works on the AIP. Nothing is recorded then,
    and ``seen`` repeats what was known.
    """

    seen: CopyAudit
    repaired: Repaired | None = None
    skipped: str = ""

    @property
    def state(self) -> CopyState:
        """As it is now."""
        return self.repaired.state if self.repaired else self.seen.state


def plan(archive: Archive, budget: AuditBudget) -> list[DueCopy]:
    """this run's copies, longest unseen first: total ÷ days of the term for each store.

    Copies beyond their term come on top, so that a backlog is worked off as the budget allows.
    """
    now = archive.clock()
    nights = max(1, math.ceil(budget.ttl / timedelta(days=1)))
    due: list[DueCopy] = []
    for store in archive.stores:
        if budget.everything:
            due += archive.catalogue.copies.due(store.name, limit=budget.max_objects, before="9999")
            continue
        if not store.audited:
            continue
        counts = archive.catalogue.copies.count(store.name)
        share = math.ceil(sum(n for state, n in counts.items() if state != CopyState.PENDING) / nights)
        overdue = timestamp(now - budget.ttl)
        late = archive.catalogue.copies.due(store.name, limit=7 * share, before=overdue)
        turn = archive.catalogue.copies.due(store.name, limit=share, before=timestamp(now))
        due += late if len(late) >= len(turn) else turn
    due.sort(key=lambda copy: (copy.last_checked, copy.aip, copy.store))
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
    """Run this run's audit; one that was interrupted is resumed.

    Every copy's result is recorded before the next one is read. An AIP that another process works on
    is skipped, and stays due.
    """
    planned = plan(archive, budget)
    if budget.everything:
        archive.catalogue.audits.close_all(timestamp(archive.clock()))
    run = archive.catalogue.audits.begin(len(planned), timestamp(archive.clock()))
    planned = planned[: max(run.planned - run.done, 0)] if run.done else planned
    stores = {store.name: store for store in archive.stores}
    began, objects = time.monotonic(), 0
    for copy in planned:
        if time.monotonic() - began > budget.max_seconds or objects >= budget.max_objects:
            break
        result = audit_one(archive, copy.aip, stores[copy.store], budget)
        objects += result.seen.objects
        if not result.skipped:
            run = _counted(archive, run, result)
        yield result
    archive.catalogue.audits.save(replace(run, finished=timestamp(archive.clock())))
    write_journal(archive, catch_up=True)


def _counted(archive: Archive, run: AuditRow, result: AuditResult) -> AuditRow:
    wrong = result.seen.state in _WRONG
    run = replace(run, done=run.done + 1, bytes=run.bytes + result.seen.bytes, wrong=run.wrong + wrong)
    archive.catalogue.audits.save(run)
    return run


def audit_one(archive: Archive, aip: str, store: ArchivalStore, budget: AuditBudget) -> AuditResult:
    """Read one copy under the AIP's lease, record what was found, repair it where the policy says so."""
    try:
        with leased_aip(archive, aip, "audit") as leased:
            if leased.row is None or leased.row.state != AipState.KEPT:
                return _skipped(archive, aip, store, "it was removed meanwhile")
            known = leased.archive.catalogue.copies.get(aip, store.name)
            if known is not None and known.state == CopyState.PENDING:
                return _skipped(
                    archive, aip, store, "the copy is pending: replication brings what it lacks"
                )
            own = next(one for one in leased.archive.stores if one.name == store.name)
            return _audit_leased(leased.archive, leased.row, own, budget)
    except (Busy, LeaseLost) as error:
        return _skipped(archive, aip, store, str(error))
    except StoreUnavailable as error:
        if error.store == archive.catalogue.name:
            raise
        return _skipped(archive, aip, store, str(error))


def repair_all(archive: Archive, quarantine: Path, only: str | None = None) -> Iterator[AuditResult]:
    """Read again every copy that was found damaged or missing, and repair what is wrong now.

    ``only`` limits it to one AIP.
    """
    budget = AuditBudget(
        timedelta(days=1), 1 << 62, 1 << 62, float("inf"), repair=True, quarantine=quarantine
    )
    for store in archive.stores:
        for aip in archive.catalogue.copies.lacking(store.name):
            if only is not None and aip != only:
                continue
            copy = archive.catalogue.copies.get(aip, store.name)
            if copy is None or copy.state == CopyState.PENDING:
                continue  # replication's business
            result = audit_one(archive, aip, store, budget)
            if result.repaired or result.skipped:
                yield result


def _skipped(archive: Archive, aip: str, store: ArchivalStore, reason: str) -> AuditResult:
    known = archive.catalogue.copies.get(aip, store.name)
    state = CopyState(known.state) if known else CopyState.UNVERIFIED
    return AuditResult(CopyAudit(store.name, aip, state), skipped=reason)


def _audit_leased(archive: Archive, row: AipRow, store: ArchivalStore, budget: AuditBudget) -> AuditResult:
    reason = _missing_reason(archive, store)
    if reason:
        seen = CopyAudit(store.name, row.id, CopyState.UNREADABLE, reason=reason)
        _record(archive, seen, row.version)
        return AuditResult(seen)
    others = [one.repository for one in archive.stores if one is not store]
    versions = archive.catalogue.versions.digests(row.id)
    with trusted_inventory([store.repository, *others], row.id, row.inventory_sha512) as trusted:
        if trusted is None:
            reason = "no store has the inventory that was committed"
            seen = CopyAudit(store.name, row.id, _without_inventory(store, row.id), reason=reason)
        else:
            seen = audit_copy(store.repository, row.id, trusted, versions)
        begun = _begun_version(archive, store, row, seen)
        if begun and trusted is not None:
            seen = audit_copy(store.repository, row.id, trusted, versions, begun)
            if seen.state is CopyState.UNVERIFIED:
                seen = replace(seen, reason=f"{begun} is begun; whoever works on it next registers it")
        elif any(finding.key == INVENTORY for finding in seen.findings):
            seen = replace(seen, reason=_newer_version(archive, store, row))
        _record(archive, seen, row.version)
        if seen.state not in _WRONG or not budget.repair or seen.reason:
            return AuditResult(seen)
        try:
            repaired = repair_copy(archive, row, seen, store, trusted, budget.quarantine, begun)
        except LeaseLost:
            raise
        except (StorageError, OSError) as error:  # one store that takes nothing must not stop the run
            return AuditResult(replace(seen, reason=f"not repaired: {error}"))
        return AuditResult(seen, repaired)


def _begun_version(archive: Archive, store: ArchivalStore, row: AipRow, seen: CopyAudit) -> str:
    """The version after ours that is committed in this copy, whole, and not registered; empty without one.

    An update committed it and was cut off, or could not bring it to the other stores. What it consists
    of is no damage, and taking it back would lose what is nowhere else. Where something of its own has
    rotted it can never be registered; nobody was told that it is stored, and the update can be done again.
    """
    plan = archive.catalogue.versions.planned(row.id)
    roots = [finding.found for finding in seen.findings if finding.key == INVENTORY]
    if plan is None or roots != [plan.inventory_sha512]:
        return ""
    versions = archive.catalogue.versions.digests(row.id)
    with trusted_inventory([store.repository], row.id, plan.inventory_sha512) as own:
        if own is None:
            return ""
        of_its_own = audit_copy(store.repository, row.id, own, versions)
    rotten = any(finding.key.startswith(f"{plan.version}/") for finding in of_its_own.findings)
    return "" if rotten else plan.version


def _newer_version(archive: Archive, store: ArchivalStore, row: AipRow) -> str:
    """Why a copy may not be repaired: it grew out of just our version, and is newer.

    Its catalogue was lost, or restored from an older backup. No program may decide that the newer
    version is the wrong one; ``rebuild`` adopts it. Where the root inventory cannot be read either, the
    versions below it tell.
    """
    if archive.catalogue.versions.planned(row.id) is not None:
        return ""  # the version after ours is one that was begun, and that the catalogue knows
    try:
        newer = store.repository.grew_from(row.id, row.version, row.inventory_sha512)
    except StorageError as error:  # what nobody could look at must not be repaired away
        return f"whether it holds a newer version could not be seen: {error}"
    if newer is None:
        return ""
    return f"it holds {newer}, which the catalogue does not know; run “stele store rebuild”"


def _missing_reason(archive: Archive, store: ArchivalStore) -> str:
    try:
        return missing_reason(store, archive.catalogue) or ""
    except StoreUnavailable as error:
        if error.store == archive.catalogue.name:
            raise
        return error.reason


def _without_inventory(store: ArchivalStore, aip: str) -> CopyState:
    try:
        return CopyState.DAMAGED if store.repository.holds(aip) else CopyState.MISSING
    except StorageError:
        return CopyState.UNREADABLE


def _record(archive: Archive, seen: CopyAudit, version: str) -> None:
    intact = seen.state is CopyState.VERIFIED
    when = archive.clock()
    now = timestamp(when)
    kinds = ", ".join(f"{finding.kind} {finding.key}" for finding in seen.findings[:5])
    detail = seen.reason or kinds
    if not intact:
        facts = {"aip": seen.object_id, "store": seen.store, "state": str(seen.state), "detail": detail}
        _LOG.warning("a copy did not pass its fixity check", extra=facts)
    archive.catalogue.copies.put(
        CopyRow(seen.object_id, seen.store, version, now if intact else "", str(seen.state), detail, now),
        _events(seen, version, when),
    )


def _events(seen: CopyAudit, version: str, now: datetime) -> Iterator[EventRow]:
    """One for the copy; one more for each object that is wrong, with digest expected and found."""
    outcomes = {
        CopyState.VERIFIED: EventOutcome.SUCCESS,
        CopyState.UNREADABLE: EventOutcome.WARNING,
        CopyState.UNVERIFIED: EventOutcome.WARNING,
    }
    yield event(
        EventType.FIXITY_CHECK, now, store=seen.store,
        detail=f"{seen.state}: {version}, {seen.objects} objects, {seen.bytes} bytes read and compared by "
        "SHA-512",
        note=seen.reason, outcome=outcomes.get(seen.state, EventOutcome.FAILURE),
    )  # fmt: skip
    for finding in seen.findings[:_MAX_FINDING_EVENTS]:
        yield event(
            EventType.FIXITY_CHECK, now, store=seen.store, detail=f"{finding.kind}: {finding.key}",
            note=f"expected {finding.expected or 'nothing'}, found {finding.found or 'nothing'}",
            outcome=EventOutcome.FAILURE,
        )  # fmt: skip
