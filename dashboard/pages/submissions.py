"""Submissions: how each ended, why, and whose turn it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dashboard.sources import Sources
from pipeline.review.decisions import Decision
from storage.catalogue import AipRow, AttemptRow, DecisionRow, RemovalRow, SubmissionRow
from storage.states import AttemptState, Outcome

__all__ = [
    "OUTCOMES",
    "RemovalsPage",
    "SubmissionPage",
    "SubmissionsPage",
    "removals_page",
    "submission_page",
    "submissions_page",
]

OUTCOMES = (*(one for one in Outcome if one is not Outcome.ACCEPTABLE), AttemptState.RUNNING)
_PAGE = 100
_PROBLEMS = 200
_FOUND = 1000  # characters that a link carries


@dataclass(frozen=True, slots=True)
class SubmissionsPage:
    """A page of submissions."""

    outcome: str
    agency: str
    since: str
    rows: tuple[SubmissionRow, ...]
    skip: int
    following: int
    outcomes: tuple[str, ...] = OUTCOMES


def submissions_page(
    sources: Sources, *, outcome: str, agency: str, since: str, skip: int
) -> SubmissionsPage:
    """Build the page."""
    rows = sources.catalogue.submissions.latest(
        [outcome] if outcome else (), agency=agency, since=since, limit=_PAGE + 1, skip=skip
    )
    following = skip + _PAGE if len(rows) > _PAGE else 0
    return SubmissionsPage(outcome, agency, since, tuple(rows[:_PAGE]), skip, following)


@dataclass(frozen=True, slots=True)
class SubmissionPage:
    """One submission with its whole report; ``problems`` are the first of ``problem_count``."""

    row: SubmissionRow
    problems: tuple[dict[str, Any], ...]
    problem_count: int
    reason: str
    review_reasons: tuple[str, ...]
    decisions: tuple[DecisionRow, ...]
    attempts: tuple[tuple[AttemptRow, str], ...]
    """Every attempt, oldest first, with the link to the run in which it was made."""
    forms: tuple[tuple[str, str], ...]
    """(decision, link to the form filled in so) while it waits for a decision and a server is there."""
    run: str
    stages: tuple[tuple[str, float], ...]


def submission_page(sources: Sources, number: str) -> SubmissionPage | None:
    """Build the page; None where there is none."""
    whole = sources.catalogue.submissions.get(number)
    if whole is None:
        return None
    report = json.loads(whole.report or "{}")
    problems = report.get("problems", [])
    orchestration = sources.orchestration
    forms = []
    if whole.outcome == Outcome.IN_REVIEW:
        for decision in Decision:
            found = "; ".join(report.get("review_reasons", ()))[:_FOUND]
            link = orchestration.form("decide", number=number, decision=str(decision), found=found)
            forms += [(str(decision), link)] if link else []
    row = SubmissionRow(
        whole.id, whole.subject, whole.agreement, whole.agency, whole.outcome, whole.aip, whole.started,
        whole.finished, whole.run,
    )  # fmt: skip
    return SubmissionPage(
        row, tuple(problems[:_PROBLEMS]), len(problems), report.get("reason", ""),
        tuple(report.get("review_reasons", ())), sources.catalogue.decisions.of(number),
        tuple((one, orchestration.run(one.run)) for one in sources.catalogue.submissions.attempts(number)),
        tuple(forms), orchestration.run(whole.run), tuple(report.get("stages", {}).items()),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RemovalsPage:
    """Removals: asked for, or carried out."""

    waiting: tuple[tuple[RemovalRow, AipRow, str], ...]
    done: tuple[tuple[RemovalRow, AipRow], ...]


def removals_page(sources: Sources) -> RemovalsPage:
    """Build the page."""
    waiting, done = [], []
    for removal in sources.catalogue.removals.all():
        aip = sources.catalogue.aips.get(removal.aip)
        if aip is None:
            continue
        if removal.removed:
            done.append((removal, aip))
        else:
            found = f"{removal.requested_by} asks for its removal: {removal.reason}"[:_FOUND]
            form = sources.orchestration.form("decide", number=removal.aip, decision="accept", found=found)
            waiting.append((removal, aip, form))
    return RemovalsPage(tuple(waiting), tuple(reversed(done[-100:])))
