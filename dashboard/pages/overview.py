"""Overview: did the nightly run finish, what needs attention, what runs now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dashboard.pages.stores import StoreLine, store_lines
from dashboard.sources import Sources
from packages.package_file import timestamp
from pipeline.intake import NightlyState, nightly_state
from storage.catalogue import NightlyRunRow, ProgressRow, SubmissionRow
from storage.states import CopyState, Outcome

__all__ = ["NightlyRun", "OverviewPage", "Task", "nightly_run_of", "overview_page", "tasks"]

_OUTCOMES = (Outcome.STORED, Outcome.DUPLICATE, Outcome.REJECTED, Outcome.IN_REVIEW, Outcome.FAILED)
_RECENT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class NightlyRun:
    """A nightly run, as far as its report tells."""

    state: NightlyState
    id: str = ""
    started: str = ""
    finished: str = ""
    outcomes: tuple[tuple[str, int], ...] = ()
    files: int = 0
    bytes: int = 0
    not_started: int = 0
    arriving: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """Something that needs attention: ``kind`` names the sentence, ``number`` counts, ``link`` lists."""

    kind: str
    number: int
    link: str
    store: str = ""
    grave: bool = False


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """What an operator reads first each day."""

    today: str
    nightly_run: NightlyRun
    tasks: tuple[Task, ...]
    running: tuple[ProgressRow, ...]
    latest: tuple[SubmissionRow, ...]
    aips: int
    files: int
    bytes: int


def overview_page(sources: Sources) -> OverviewPage:
    """Build the page."""
    catalogue = sources.catalogue
    night = nightly_run_of(sources, next(iter(catalogue.nightly_runs.latest(1)), None))
    aips, files, size = catalogue.aips.totals()
    in_order = tuple(sorted(tasks(sources, night, store_lines(sources)), key=lambda task: not task.grave))
    return OverviewPage(
        timestamp(sources.clock()), night, in_order, tuple(catalogue.progress.running()),
        tuple(catalogue.submissions.latest(_OUTCOMES, limit=8)), aips, files, size,
    )  # fmt: skip


def nightly_run_of(sources: Sources, row: NightlyRunRow | None, *, newest: bool = True) -> NightlyRun:
    """What became of a nightly run. Only the newest can be late: no other has begun since."""
    every = sources.nightly_every_hours if newest else None
    state = nightly_state(sources.catalogue, row, sources.clock(), every_hours=every)
    if row is None:
        return NightlyRun(state)
    report: dict[str, Any] = json.loads(row.report or "{}")
    outcomes = report.get("outcomes", {})
    return NightlyRun(
        state, row.id, row.started, row.finished,
        tuple((name, outcomes[name]) for name in _OUTCOMES if outcomes.get(name)),
        report.get("files", 0), report.get("bytes", 0), report.get("not_started", 0),
        report.get("arriving", 0),
    )  # fmt: skip


def tasks(sources: Sources, night: NightlyRun, stores: tuple[StoreLine, ...]) -> Iterator[Task]:
    """Everything that needs attention."""
    catalogue, now = sources.catalogue, sources.clock()
    if night.state in (NightlyState.DIED, NightlyState.LATE):
        yield Task(f"nightly-run-{night.state}", 1, "/nightly-runs", grave=True)
    since = timestamp(now - _RECENT)
    for outcome, grave in ((Outcome.FAILED, True), (Outcome.IN_REVIEW, False), (Outcome.REJECTED, False)):
        asked = {} if outcome is not Outcome.REJECTED else {"since": since}
        if number := catalogue.submissions.count(outcome, **asked):
            ending = f"&since={since}" if asked else ""
            yield Task(outcome, number, f"/submissions?outcome={outcome}{ending}", grave=grave)
    if dead := catalogue.submissions.interrupted():
        yield Task("dead", len(dead), "/submissions?outcome=running", grave=True)
    if removals := [one for one in catalogue.removals.all() if not one.removed]:
        yield Task("removals", len(removals), "/removals")
    for store in stores:
        yield from _of_store(store)


def _of_store(store: StoreLine) -> Iterator[Task]:
    name = store.name
    for state, number in store.states:
        if state in (CopyState.DAMAGED, CopyState.MISSING, CopyState.UNREADABLE):
            yield Task(state, number, f"/copies?store={name}&state={state}", name, grave=True)
    if store.pending:
        yield Task(
            "pending",
            store.pending,
            f"/copies?store={name}&state=pending",
            name,
            grave=store.role == "required",
        )
    if store.overdue:
        yield Task("overdue", store.overdue, "/stores", name)
    if store.nearly_full:
        yield Task(
            "full", store.days_left if store.days_left is not None else 0, "/stores", name, grave=True
        )
