"""Looking after what is kept, as Prefect flows: audit; pending copies, reconciliation, format report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, assert_never

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from flows.reports import formats_markdown, plain
from flows.requests import AuditRequest, UpkeepRequest, UpkeepTask
from flows.workspace import opened, shown_progress
from pipeline.formats.report import format_report
from pipeline.holdings.journal import write_journal
from pipeline.preservation.audit import audit as run_audit
from pipeline.preservation.reconcile import reconcile
from pipeline.preservation.replicate import replicate
from stele.wiring import audit_budget
from storage.states import CopyState

_MAX_SHOWN = 500
_GOOD = (CopyState.VERIFIED,)


@task(name="audit copies", cache_policy=NO_CACHE)
def audit_copies(request: AuditRequest) -> tuple[dict[str, int], list[str]]:
    """Read what is due; how many ended in which state, and which of them not well."""
    counts: Counter[str] = Counter()
    bad: list[str] = []
    with opened() as (archive, settings):
        budget = audit_budget(settings)
        if request.max_hours:
            budget = replace(budget, max_seconds=request.max_hours * 3600)
        budget = replace(budget, repair=budget.repair or request.repair)
        watch = shown_progress("audit")
        for one in run_audit(archive, budget):
            counts["skipped" if one.skipped else str(one.state)] += 1
            watch("audit", one.seen.bytes, 1)
            if one.skipped:
                continue
            if one.state not in _GOOD and len(bad) < _MAX_SHOWN:
                bad.append(f"| {one.seen.object_id} | {plain(one.seen.store)} | **{one.state}** |")
        write_journal(archive, catch_up=True)
    return dict(counts), bad


@flow(name="audit", flow_run_name="audit")
async def audit(request: AuditRequest) -> Any:
    """Read the copies that are due, byte by byte, and record what was found; damage fails the run."""
    counts, bad = audit_copies(request)
    said = ", ".join(f"{number:,} {state}" for state, number in sorted(counts.items())) or "nothing was due"
    lines = [f"Copies checked: {said}."]
    if bad:
        lines += ["", "| AIP | Store | Found |", "|---|---|---|", *bad]
    await create_markdown_artifact("\n".join(lines), key="audit", description="The audit")  # type: ignore[misc]
    return Failed(message=f"Not every copy is whole: {said}.") if bad else counts


@task(name="upkeep", task_run_name="{task}", cache_policy=NO_CACHE)
def upkeep_task(task: UpkeepTask) -> tuple[bool, str]:
    """Do it; whether all is well, and the report."""
    with opened() as (archive, _):
        match task:
            case UpkeepTask.REPLICATE:
                done = [
                    (one.made or one.skipped, one.aip, one.store, one.reason) for one in replicate(archive)
                ]
                write_journal(archive, catch_up=True)
                return all(one[0] for one in done), _copies_markdown(done)
            case UpkeepTask.RECONCILE:
                found = [
                    f"| {one.kind} | {one.store} | `{plain(one.subject)}` |" for one in reconcile(archive)
                ]
                if not found:
                    return True, "Catalogue and storage agree."
                return False, "\n".join(["| What | Store | Object |", "|---|---|---|", *found[:_MAX_SHOWN]])
            case UpkeepTask.FORMATS:
                return True, formats_markdown(format_report(archive.catalogue, archive.tools.policy))
            case _:
                assert_never(task)


def _copies_markdown(done: Iterable[tuple[bool, str, str, str]]) -> str:
    rows = list(done)
    made = sum(1 for one in rows if one[0])
    lines = [f"{made:,} copies made, {len(rows) - made:,} not."]
    bad = [f"| {aip} | {store} | {plain(reason)} |" for good, aip, store, reason in rows if not good]
    return "\n".join(
        [*lines, *(["", "| AIP | Store | Why |", "|---|---|---|", *bad[:_MAX_SHOWN]] if bad else [])]
    )


@flow(name="upkeep", flow_run_name="{request.task.value}")
async def upkeep(request: UpkeepRequest) -> Any:
    """Create pending copies, compare catalogue and stores, or report on formats."""
    good, text = upkeep_task(request.task)
    await create_markdown_artifact(text, key="upkeep", description=request.task.value)  # type: ignore[misc]
    return Completed(message="All is well.") if good else Failed(message="See the report: not all is well.")
