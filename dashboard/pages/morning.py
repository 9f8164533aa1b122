"""This morning: did the night run, what needs a person, what runs now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dashboard.pages.stores import StoreLine, store_lines
from dashboard.sources import Sources
from packages.package_file import timestamp
from pipeline.intake import NightState, night_state
from storage.catalogue import NightRow, ProgressRow, SubmissionRow

__all__ = ["MorningPage", "Night", "Task", "morning_page", "night_of", "tasks"]

_OUTCOMES = ("stored", "duplicate", "rejected", "held", "failed")
_RECENT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Night:
    """A night, as far as its report tells."""

    state: NightState
    id: str = ""
    started: str = ""
    finished: str = ""
    outcomes: tuple[tuple[str, int], ...] = ()
    files: int = 0
    bytes: int = 0
    left: int = 0
    arriving: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """Something that needs a person: ``kind`` names the sentence, ``number`` counts, ``link`` lists."""

    kind: str
    number: int
    link: str
    store: str = ""
    grave: bool = False


@dataclass(frozen=True, slots=True)
class MorningPage:
    """What an operator reads with the first coffee."""

    today: str
    night: Night
    tasks: tuple[Task, ...]
    running: tuple[ProgressRow, ...]
    latest: tuple[SubmissionRow, ...]
    aips: int
    files: int
    bytes: int


def morning_page(sources: Sources) -> MorningPage:
    """Ask for it."""
    catalogue = sources.catalogue
    night = night_of(sources, next(iter(catalogue.nights(1)), None))
    aips, files, size = catalogue.totals()
    in_order = tuple(sorted(tasks(sources, night, store_lines(sources)), key=lambda task: not task.grave))
    return MorningPage(
        timestamp(sources.clock()), night, in_order, tuple(catalogue.running()),
        tuple(catalogue.submissions(_OUTCOMES, limit=8)), aips, files, size,
    )  # fmt: skip


def night_of(sources: Sources, row: NightRow | None, *, newest: bool = True) -> Night:
    """What became of a night. Only the newest can be late: no other has begun since."""
    every = sources.night_every_hours if newest else None
    state = night_state(sources.catalogue, row, sources.clock(), every_hours=every)
    if row is None:
        return Night(state)
    report: dict[str, Any] = json.loads(row.report or "{}")
    outcomes = report.get("outcomes", {})
    return Night(
        state, row.id, row.started, row.finished,
        tuple((name, outcomes[name]) for name in _OUTCOMES if outcomes.get(name)),
        report.get("files", 0), report.get("bytes", 0), report.get("left", 0), report.get("arriving", 0),
    )  # fmt: skip


def tasks(sources: Sources, night: Night, stores: tuple[StoreLine, ...]) -> Iterator[Task]:
    """Everything that needs a person."""
    catalogue, now = sources.catalogue, sources.clock()
    if night.state in (NightState.DIED, NightState.LATE):
        yield Task(f"night-{night.state}", 1, "/nights", grave=True)
    since = timestamp(now - _RECENT)
    for outcome, grave in (("failed", True), ("held", False), ("rejected", False)):
        asked = {} if outcome != "rejected" else {"since": since}
        if number := catalogue.count_submissions(outcome, **asked):
            ending = f"&since={since}" if asked else ""
            yield Task(outcome, number, f"/submissions?outcome={outcome}{ending}", grave=grave)
    if dead := catalogue.dead_submissions():
        yield Task("dead", len(dead), "/submissions?outcome=running", grave=True)
    if removals := [one for one in catalogue.removals() if not one.removed]:
        yield Task("removals", len(removals), "/removals")
    for store in stores:
        yield from _of_store(store)


def _of_store(store: StoreLine) -> Iterator[Task]:
    name = store.name
    for state, number in store.states:
        if state in ("damaged", "missing", "unreadable"):
            yield Task(state, number, f"/copies?store={name}&state={state}", name, grave=True)
    if store.owed:
        yield Task(
            "owed", store.owed, f"/copies?store={name}&state=owed", name, grave=store.role == "required"
        )
    if store.overdue:
        yield Task("overdue", store.overdue, "/stores", name)
    if store.nearly_full:
        yield Task(
            "full", store.days_left if store.days_left is not None else 0, "/stores", name, grave=True
        )
