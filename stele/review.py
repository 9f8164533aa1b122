"""Submissions in review and removals that wait: what there is to decide, and what a decision starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packages.package_file import timestamp
from pipeline.archive import Archive
from pipeline.context import Progress, Result, no_progress
from pipeline.holdings.journal import write_journal
from pipeline.preservation.removal import Removed, approve_removal, refuse_removal
from pipeline.review.decisions import (
    Decision,
    DecisionRefused,
    ReviewState,
    decide,
    found_in,
    review_state,
)
from stele.intake import ingest_now
from stele.settings import Settings
from stele.wiring import choose_agreement
from storage.catalogue import IngestRow
from storage.states import Outcome

__all__ = ["Decided", "Waiting", "decide_and_carry_out", "one_waiting", "waiting"]

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits for a person. ``kind`` is ``submission`` or ``removal``."""

    id: str
    kind: str
    subject: str
    agency: str
    since: str
    found: tuple[str, ...]
    two_people: bool
    waiting: str
    """Who said yes already, where two must."""

    def as_json(self) -> dict[str, object]:
        """Stable keys."""
        return {
            "id": self.id, "kind": self.kind, "subject": self.subject, "agency": self.agency,
            "since": self.since, "found": list(self.found), "two_people": self.two_people,
            "waiting_for_second": self.waiting,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decided:
    """Where it stands after a decision; ``result`` where the submission was run again at once."""

    id: str
    decision: str
    waiting: str
    detail: str
    result: Result | None = None

    def as_json(self) -> dict[str, object]:
        """Stable keys."""
        return {
            "id": self.id, "decision": self.decision, "waiting_for_second": self.waiting,
            "detail": self.detail, "result": self.result.as_json() if self.result else None,
        }  # fmt: skip


def waiting(archive: Archive, settings: Settings, beginnings: tuple[str, ...] = ("",)) -> Iterator[Waiting]:
    """Everything that waits, the oldest submission first, then removals; only what is called so."""
    catalogue = archive.catalogue
    rows = catalogue.submissions.latest([str(Outcome.IN_REVIEW)], limit=_PAGE)
    for row in (one for one in reversed(rows) if one.id.startswith(beginnings)):
        whole = catalogue.submissions.get(row.id)
        if whole is not None:
            yield _submission_in_review(archive, settings, whole)
    for removal in (one for one in catalogue.removals.all() if one.aip.startswith(beginnings)):
        aip = catalogue.aips.get(removal.aip)
        if not removal.removed and aip is not None:
            yield Waiting(
                removal.aip, "removal", aip.title, aip.agency, removal.requested, (removal.reason,),
                True, removal.approved_by or removal.requested_by,
            )  # fmt: skip


def one_waiting(archive: Archive, settings: Settings, number: str) -> Waiting:
    """What waits under a number or its first characters. Raises DecisionRefused: none does, or several."""
    wanted = number.strip().rstrip("…")
    beginnings = (wanted, f"urn:uuid:{wanted.removeprefix('uuid-')}")
    found = list(waiting(archive, settings, beginnings)) if wanted else []
    if not found:
        raise DecisionRefused(f"nothing in review has the number {number}; “stele review list” shows all")
    if len(found) > 1:
        raise DecisionRefused(f"several in review begin with {number}: {found[0].id}, {found[1].id}")
    return found[0]


def _submission_in_review(archive: Archive, settings: Settings, row: IngestRow) -> Waiting:
    two = _two_people(settings, row)
    state = review_state(archive.catalogue.decisions.of(row.id), two_people=two)
    since = row.finished or row.started
    return Waiting(
        row.id, "submission", row.subject, row.agency, since, tuple(found_in(row)), two, state.waiting
    )


def _two_people(settings: Settings, row: IngestRow) -> bool:
    return choose_agreement(settings, row.agreement).two_people


def decide_and_carry_out(
    archive: Archive,
    settings: Settings,
    subject: str,
    decision: Decision,
    *,
    person: str,
    reason: str,
    progress: Progress = no_progress,
) -> Decided:
    """Record a decision about a submission in review (its number) or removal (its AIP), and act on it.

    An accepted submission is taken in at once where it still lies, a refused one gets its report.
    Where it has gone, the decision waits for it. Raises DecisionRefused, RemovalRefused,
    UnknownPackage, AgreementError, StoreUnavailable.
    """
    if subject.startswith("urn:uuid:"):
        return _decide_removal(archive, subject, decision, person=person, reason=reason)
    row = archive.catalogue.submissions.get(subject)
    if row is None:
        raise DecisionRefused(f"no submission in review has the number {subject}")
    two = _two_people(settings, row)
    state = decide(
        archive.catalogue, subject, decision, person=person, reason=reason, two_people=two,
        clock=archive.clock,
    )  # fmt: skip
    write_journal(archive)  # also when the catalogue is lost, what was decided is known
    if state.decision is None:
        said = "a second person must agree" if state.waiting else "it stays in review"
        return Decided(subject, str(decision), state.waiting, said)
    return _carry_out(archive, settings, row, state, progress)


def _carry_out(
    archive: Archive, settings: Settings, row: IngestRow, state: ReviewState, progress: Progress
) -> Decided:
    decision, place = str(state.decision), Path(row.subject)
    if place.exists():
        agreement = choose_agreement(settings, row.agreement)
        if row.agency:  # the default agreement is lent to agencies that have none
            agreement = agreement.lent_to(row.agency)
        result = ingest_now(archive, settings, place, agreement, progress)
        said = {Outcome.STORED: f"stored as {result.aip}", Outcome.REJECTED: "the report tells the agency"}
        return Decided(row.id, decision, "", said.get(result.outcome, result.reason), result)
    if state.decision is Decision.REJECT:
        _end(archive, row, state)
        return Decided(row.id, decision, "", "rejected; the submission itself lies there no more")
    return Decided(
        row.id,
        decision,
        "",
        f"{row.subject} is not there now; it is taken in when a nightly run finds it again",
    )


def _end(archive: Archive, row: IngestRow, state: ReviewState) -> None:
    """A submission that is gone cannot be run again to be rejected."""
    report = {
        **json.loads(row.report or "{}"),
        "outcome": Outcome.REJECTED,
        "reason": state.reason,
        "review_reasons": [],
    }
    archive.catalogue.submissions.finish(
        row.id, subject=row.subject, agreement=row.agreement, outcome=str(Outcome.REJECTED), aip=None,
        now=timestamp(archive.clock()), report=json.dumps(report), agency=row.agency, run=archive.run,
    )  # fmt: skip


def _decide_removal(archive: Archive, aip: str, decision: Decision, *, person: str, reason: str) -> Decided:
    """The second person approves a removal, or refuses it."""
    if decision is Decision.ACCEPT:
        done: Removed = approve_removal(archive, aip, person=person)
        return Decided(aip, str(decision), "", f"removed; the certificate is {done.certificate}")
    if decision is Decision.REJECT:
        refuse_removal(archive, aip, person=person, reason=reason)
        return Decided(aip, str(decision), "", "the request is withdrawn; nothing was removed")
    return Decided(aip, str(decision), "", "the request waits on")
