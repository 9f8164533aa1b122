"""What an archivist decides about a submission in review: who, why, and what follows.

The decision is about what was found then. Where a later run finds more, the package is reviewed again.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from packages.package_file import timestamp
from packages.premis import EventType
from packages.problems.catalogue import problem
from pipeline.context import Clock, IngestContext
from pipeline.errors import PipelineError
from pipeline.stage_report import StageReport
from storage.catalogue import Catalogue, DecisionRow, IngestRow
from storage.states import Outcome

__all__ = [
    "Decision",
    "DecisionRefused",
    "ReviewState",
    "apply_decisions",
    "decide",
    "found_in",
    "review_state",
    "same_person",
]


class Decision(StrEnum):
    """What somebody said."""

    ACCEPT = "accept"  # despite the findings
    REJECT = "reject"  # the agency must act
    KEEP = "keep"  # keep in review: a note, or a refusal to be the second of two


class DecisionRefused(PipelineError):
    """There is nothing to decide, or not by this person; the message says why."""


@dataclass(frozen=True, slots=True)
class ReviewState:
    """Where a submission stands after what was said about it.

    ``decision`` is None while nobody has decided, or while ``waiting`` (a name) needs a second person.
    """

    decision: Decision | None
    people: tuple[str, ...]
    reason: str
    found: tuple[str, ...]
    waiting: str = ""


_UNDECIDED = ReviewState(None, (), "", ())


def review_state(decisions: Sequence[DecisionRow], *, two_people: bool) -> ReviewState:
    """What the decisions about one submission, oldest first, come to."""
    state = _UNDECIDED
    for row in decisions:
        decision, found = Decision(row.verdict), tuple(json.loads(row.found))
        if decision is Decision.KEEP:
            state = _UNDECIDED
        elif decision is Decision.REJECT:
            state = ReviewState(decision, (row.person,), row.reason, found)
        elif two_people and not (state.waiting and not same_person(row.person, state.waiting)):
            state = ReviewState(None, (row.person,), row.reason, found, waiting=row.person)
        else:
            people = (*((state.waiting,) if state.waiting else ()), row.person)
            reasons = [*((state.reason,) if state.waiting else ()), row.reason]
            state = ReviewState(decision, people, "; ".join(dict.fromkeys(reasons)), found)
    return state


def decide(
    catalogue: Catalogue,
    ingest: str,
    decision: Decision,
    *,
    person: str,
    reason: str,
    two_people: bool,
    clock: Clock,
) -> ReviewState:
    """Record what somebody says about a submission in review; its state afterwards.

    Raises DecisionRefused when it is not in review, when name or reason is missing, or when the second
    of two people is the first.
    """
    row = catalogue.submissions.get(ingest)
    if row is None or row.outcome != Outcome.IN_REVIEW:
        raise DecisionRefused(f"no submission in review has the number {ingest}")
    if not person.strip():
        raise DecisionRefused("a decision needs the name of who makes it")
    if not reason.strip():
        raise DecisionRefused("a decision needs a reason: it is kept with the records")
    before = review_state(catalogue.decisions.of(ingest), two_people=two_people)
    if decision is Decision.ACCEPT and before.waiting and same_person(person, before.waiting):
        raise DecisionRefused(f"{before.waiting} has accepted it already; another person must agree")
    made = DecisionRow(
        id=0, ingest=ingest, verdict=str(decision), person=person.strip(), reason=reason.strip(),
        time=timestamp(clock()), found=json.dumps(found_in(row), ensure_ascii=False),
    )  # fmt: skip
    after = review_state([*catalogue.decisions.of(ingest), made], two_people=two_people)
    catalogue.decisions.add(made, releases=after.decision is not None)
    return after


def found_in(row: IngestRow) -> list[str]:
    """Everything that was found, for which a submission is in review."""
    report = json.loads(row.report or "{}")
    return list(report.get("review_reasons") or ([report["reason"]] if report.get("reason") else []))


def apply_decisions(
    reasons: Sequence[str], decisions: Sequence[DecisionRow], context: IngestContext
) -> tuple[tuple[str, ...], StageReport]:
    """The reasons for a review that still stand after what was decided; a decision is an event with the
    people's names."""
    report = context.report("decide")
    state = review_state(decisions, two_people=context.agreement.two_people)
    if state.decision is Decision.REJECT and reasons:
        report.add(problem("AGREE-DECLINED", found=state.reason))
        return (), report
    if state.decision is Decision.ACCEPT and reasons and set(reasons) <= set(state.found):
        said = f"accepted by {' and '.join(state.people)}: {state.reason}"
        report.event(EventType.POLICY_ASSIGNMENT, said, note="; ".join(reasons), people=state.people)
        return (), report
    return tuple(reasons), report


def same_person(one: str, other: str) -> bool:
    """Names are compared as people read them: case, width and spaces make no second person."""
    names = (" ".join(unicodedata.normalize("NFKC", name).casefold().split()) for name in (one, other))
    return len(set(names)) == 1
