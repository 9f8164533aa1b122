"""What an archivist decides about a held submission: who, why, and what follows.

The decision is about what was found then. Where a later run finds more, the package is held again.
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
from storage.catalogue import Catalogue, DecisionRow, IngestRow

__all__ = [
    "DecisionRefused",
    "Standing",
    "Verdict",
    "apply_decisions",
    "decide",
    "found_in",
    "same_person",
    "standing",
]


class Verdict(StrEnum):
    """What somebody said."""

    ACCEPT = "accept"  # take it although
    REJECT = "reject"  # the agency must act
    HOLD = "hold"  # not yet; a note, or a refusal to be the second of two


class DecisionRefused(PipelineError):
    """There is nothing to decide, or not by this person; the message says why."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a submission stands after what was said about it.

    ``verdict`` is None while nobody has decided, or while ``waiting`` (a name) needs a second person.
    """

    verdict: Verdict | None
    people: tuple[str, ...]
    reason: str
    found: tuple[str, ...]
    waiting: str = ""


_UNDECIDED = Standing(None, (), "", ())


def standing(decisions: Sequence[DecisionRow], *, two_people: bool) -> Standing:
    """What the decisions about one submission, oldest first, come to."""
    state = _UNDECIDED
    for row in decisions:
        verdict, found = Verdict(row.verdict), tuple(json.loads(row.found))
        if verdict is Verdict.HOLD:
            state = _UNDECIDED
        elif verdict is Verdict.REJECT:
            state = Standing(verdict, (row.person,), row.reason, found)
        elif two_people and not (state.waiting and not same_person(row.person, state.waiting)):
            state = Standing(None, (row.person,), row.reason, found, waiting=row.person)
        else:
            people = (*((state.waiting,) if state.waiting else ()), row.person)
            reasons = [*((state.reason,) if state.waiting else ()), row.reason]
            state = Standing(verdict, people, "; ".join(dict.fromkeys(reasons)), found)
    return state


def decide(
    catalogue: Catalogue,
    ingest: str,
    verdict: Verdict,
    *,
    person: str,
    reason: str,
    two_people: bool,
    clock: Clock,
) -> Standing:
    """Record what somebody says about a held submission; where it stands now.

    Raises DecisionRefused when it is not held, when name or reason is missing, or when the second
    of two people is the first.
    """
    row = catalogue.ingest(ingest)
    if row is None or row.outcome != "held":
        raise DecisionRefused(f"no held submission has the number {ingest}")
    if not person.strip():
        raise DecisionRefused("a decision needs the name of who makes it")
    if not reason.strip():
        raise DecisionRefused("a decision needs a reason: it is kept with the records")
    before = standing(catalogue.decisions(ingest), two_people=two_people)
    if verdict is Verdict.ACCEPT and before.waiting and same_person(person, before.waiting):
        raise DecisionRefused(f"{before.waiting} has accepted it already; another person must agree")
    made = DecisionRow(
        id=0, ingest=ingest, verdict=str(verdict), person=person.strip(), reason=reason.strip(),
        time=timestamp(clock()), found=json.dumps(found_in(row), ensure_ascii=False),
    )  # fmt: skip
    after = standing([*catalogue.decisions(ingest), made], two_people=two_people)
    catalogue.add_decision(made, releases=after.verdict is not None)
    return after


def found_in(row: IngestRow) -> list[str]:
    """Everything that was found, for which a submission is held."""
    report = json.loads(row.report or "{}")
    return list(report.get("holds") or ([report["reason"]] if report.get("reason") else []))


def apply_decisions(context: IngestContext, decisions: Sequence[DecisionRow]) -> None:
    """Let what was decided have its effect on this run, as an event with the people's names."""
    state = standing(decisions, two_people=context.agreement.two_people)
    if state.verdict is Verdict.REJECT and context.holds:
        context.add(problem("AGREE-DECLINED", found=state.reason))
        context.holds.clear()
    elif state.verdict is Verdict.ACCEPT and context.holds and set(context.holds) <= set(state.found):
        said = f"accepted by {' and '.join(state.people)}: {state.reason}"
        note = "; ".join(context.holds)
        context.event(EventType.POLICY_ASSIGNMENT, said, note=note, people=state.people)
        context.holds.clear()


def same_person(one: str, other: str) -> bool:
    """Names are compared as people read them: case, width and spaces make no second person."""
    names = (" ".join(unicodedata.normalize("NFKC", name).casefold().split()) for name in (one, other))
    return len(set(names)) == 1
