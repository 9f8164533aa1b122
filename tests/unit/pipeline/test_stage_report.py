"""What stages return beside their records: only added to, counted right, with ids of their own."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from packages.premis import Agent, AgentType, EventType
from packages.problems.catalogue import problem
from pipeline.findings import MAX_KEPT_PER_CODE
from pipeline.stage_report import StageReport

_US = Agent("stele-1", "stele", AgentType.SOFTWARE, "1")


def _report(stage: str) -> StageReport:
    namespace = uuid.uuid5(uuid.UUID(int=1), stage)
    return StageReport(lambda: datetime(2026, 11, 28, tzinfo=UTC), _US, namespace)


def test_a_later_report_comes_after() -> None:
    """Order, agents and reasons stay; an event's id is nobody else's; the later report is as it was."""
    history, later = _report("receive"), _report("verify")
    history.event(EventType.UNPACKING, "a")
    later.event(EventType.VALIDATION, "b", people=("A. Clerk",))
    history.ask_review("one")
    later.ask_review("one")
    later.ask_review("two")
    history.append(later)
    assert [event.detail for event in history.events] == ["a", "b"]
    assert len({event.id for event in history.events}) == 2
    assert [agent.name for agent in history.agents] == ["stele", "A. Clerk"]
    assert history.review_reasons == ("one", "two")
    assert [event.detail for event in later.events] == ["b"]


def test_what_was_only_counted_stays_counted() -> None:
    """More findings of one kind than are kept: the sum and the errors are those of both reports."""
    history, later = _report("receive"), _report("verify")
    for number in range(MAX_KEPT_PER_CODE + 5):
        later.add(problem("BAG-DIGEST", f"data/{number}", expected="a", found="b"))
    history.add(problem("BAG-DIGEST", "data/other", expected="a", found="b"))
    history.append(later)
    assert len(history.findings) == MAX_KEPT_PER_CODE + 6
    assert history.findings.errors == MAX_KEPT_PER_CODE + 6
    assert len(later.findings) == MAX_KEPT_PER_CODE + 5
    assert len(history.findings.all()) == MAX_KEPT_PER_CODE + 1, "the last says how many more"


def test_the_same_finding_twice_counts_once() -> None:
    """Two stages that see the same thing say it once."""
    history, later = _report("receive"), _report("verify")
    for one in (history, later):
        one.add(problem("BAG-DIGEST", "data/a", expected="a", found="b"))
    history.append(later)
    assert history.findings.errors == len(history.findings) == 1
