"""What a stage found and did: problems, reasons for a review, PREMIS events and who caused them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from packages.premis import Agent, Event, EventOutcome, EventType
from packages.premis.records import AgentRole, person_agent
from packages.problems.problem import Problem
from pipeline.findings import Findings

__all__ = ["StageReport"]


class StageReport:
    """Returned by each stage beside its record. Only the stage that made it adds to it; nothing goes away.

    ``namespace`` is a UUID from which the ids of its events are derived: no two reports have the same.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        software: Agent,
        namespace: uuid.UUID,
        findings: Findings | None = None,
    ) -> None:
        self._clock, self._software, self._namespace = clock, software, namespace
        self.findings = Findings() if findings is None else findings
        self._review_reasons: dict[str, None] = {}
        self._events: list[Event] = []
        self._agents: dict[str, Agent] = {}

    @property
    def rejected(self) -> bool:
        """Whether something forbids acceptance."""
        return self.findings.errors > 0

    @property
    def review_reasons(self) -> tuple[str, ...]:
        """Why an archivist must decide before the package can be accepted; each once."""
        return tuple(self._review_reasons)

    @property
    def events(self) -> tuple[Event, ...]:
        """In the order in which things happened."""
        return tuple(self._events)

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Whoever the events name."""
        return tuple(self._agents.values())

    def add(self, *problems: Problem) -> None:
        """Report problems."""
        for problem in problems:
            self.findings.add(problem)

    def ask_review(self, reason: str) -> None:
        """Leave the decision to an archivist; the same reason twice counts once."""
        self._review_reasons[reason] = None

    def event(
        self,
        kind: EventType,
        detail: str,
        *,
        note: str = "",
        outcome: EventOutcome = EventOutcome.SUCCESS,
        objects: tuple[str, ...] = (),
        agent: Agent | None = None,
        people: tuple[str, ...] = (),
    ) -> Event:
        """Record that something happened just now; no ``objects`` means the whole submission.

        ``people`` are the names of those who authorised it.
        """
        who = agent or self._software
        authorizers = [person_agent(name) for name in people]
        for one in (who, *authorizers):
            self._agents[one.id] = one
        event = Event(
            id=str(uuid.uuid5(self._namespace, str(len(self._events)))),
            type=kind,
            time=self._clock(),
            detail=detail,
            outcome=outcome,
            note=note,
            agents=(
                *((one.id, AgentRole.AUTHORIZER) for one in authorizers),
                (who.id, AgentRole.EXECUTING_PROGRAM),
            ),
            objects=objects,
        )
        self._events.append(event)
        return event

    def append(self, later: StageReport) -> None:
        """What a later stage found and did, after all that is here. The other report stays as it is."""
        self.findings.append(later.findings)
        self._review_reasons |= later._review_reasons
        self._events += later._events
        self._agents |= later._agents
