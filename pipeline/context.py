"""What every stage of one ingest needs to know, and the records that travel between stages."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from packages.identifiers import IngestId, PackageId
from packages.package_file import timestamp
from packages.paths import printable
from packages.premis import Agent, AgentType, Event, EventOutcome, EventType
from packages.premis.records import AgentRole, person_agent
from packages.problems.problem import Problem
from pipeline.agreement import Agreement
from pipeline.findings import Findings
from pipeline.formats.identification import Identification
from pipeline.tools import Toolbox
from storage.states import Outcome

Clock = Callable[[], datetime]
Progress = Callable[[str, int, int], None]
"""Stage, bytes done since the last call, files done since the last call."""


def utc_now() -> datetime:
    """The time in UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def no_progress(_stage: str, _bytes: int, _files: int) -> None:
    """For callers who do not watch."""


@dataclass(frozen=True, slots=True)
class Software:
    """This program as a PREMIS agent."""

    name: str
    version: str

    @property
    def agent(self) -> Agent:
        """Its agent record."""
        return Agent(f"{self.name}-{self.version}", self.name, AgentType.SOFTWARE, self.version)


@dataclass(slots=True)
class IngestContext:
    """One run over one submission: who works, under which agreement, where, and what was found.

    The only thing that changes during a run: stages add problems, events and agents to it.
    """

    subject: Path
    agreement: Agreement
    work: Path
    software: Software
    identification: Identification
    tools: Toolbox
    clock: Clock = utc_now
    progress: Progress = no_progress
    archivematica_mets_limit: int = 1000
    shown: str = ""
    """Where the submission lies, for people; ``subject`` may be a copy that was only brought here."""
    attempt: int = 1
    quarantine: Path = Path("quarantine")
    """Where what an interrupted run left, and what is damaged of it, is kept."""
    findings: Findings = field(default_factory=Findings)
    review_reasons: list[str] = field(default_factory=list)
    """Why an archivist must decide before the package can be accepted."""
    events: list[Event] = field(default_factory=list)
    agents: dict[str, Agent] = field(default_factory=dict)
    run: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def subject_name(self) -> str:
        """The submission's own name, fit for reports; also of ``.``."""
        return printable(self.subject.name or self.subject.absolute().name)

    def add(self, *problems: Problem) -> None:
        """Report problems."""
        for problem in problems:
            self.findings.add(problem)

    def ask_review(self, reason: str) -> None:
        """Leave the decision to an archivist; the same reason twice counts once."""
        if reason not in self.review_reasons:
            self.review_reasons.append(reason)

    @property
    def rejected(self) -> bool:
        """Whether something forbids acceptance."""
        return self.findings.errors > 0

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
        who = agent or self.software.agent
        authorizers = [person_agent(name) for name in people]
        for one in (who, *authorizers):
            self.agents[one.id] = one
        number = str(len(self.events))
        event = Event(
            id=str(uuid.uuid5(uuid.UUID(self.run), number)),
            type=kind,
            time=self.clock(),
            detail=detail,
            outcome=outcome,
            note=note,
            agents=(
                *((one.id, AgentRole.AUTHORIZER) for one in authorizers),
                (who.id, AgentRole.EXECUTING_PROGRAM),
            ),
            objects=objects,
        )
        self.events.append(event)
        return event


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission that was understood: whose it is and what identifies it."""

    ingest_id: IngestId
    package_id: PackageId
    external_identifier: str
    title: str
    content_digest: str
    bag_info: tuple[tuple[str, str], ...]
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Result:
    """The end of one run, ready for the receipt and the ``--json`` contract."""

    subject: str
    outcome: Outcome
    aip: str | None
    version: str | None
    files: int
    bytes: int
    problems: tuple[Problem, ...]
    stages: dict[str, float]
    seconds: float
    agreement: str
    finished: datetime
    reason: str = ""
    receipt: str | None = None
    review_reasons: tuple[str, ...] = ()
    """Everything an archivist must decide about; ``reason`` says the first of it."""

    def as_json(self) -> dict[str, object]:
        """Stable keys; see ``docs/reference/command-line.md``."""
        return {
            "subject": self.subject,
            "outcome": str(self.outcome),
            "aip": self.aip,
            "version": self.version,
            "files": self.files,
            "bytes": self.bytes,
            "problems": [problem.as_json() for problem in self.problems],
            "stages": {name: round(seconds, 4) for name, seconds in self.stages.items()},
            "seconds": round(self.seconds, 4),
            "agreement": self.agreement,
            "finished": timestamp(self.finished),
            "reason": self.reason,
            "receipt": self.receipt,
            "review_reasons": list(self.review_reasons),
        }
