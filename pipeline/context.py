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
from packages.premis import Agent, AgentType
from packages.problems.problem import Problem
from pipeline.agreement import Agreement
from pipeline.formats.identification import Identification
from pipeline.stage_report import StageReport
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


@dataclass(frozen=True, slots=True)
class IngestContext:
    """What goes into every stage of one run: the submission, its agreement, where to work and with what.

    Nothing of it changes; what a stage finds and does it returns (``StageReport``).
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
    run: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def subject_name(self) -> str:
        """The submission's own name, fit for reports; also of ``.``."""
        return printable(self.subject.name or self.subject.absolute().name)

    def report(self, stage: str) -> StageReport:
        """An empty report. Each stage of a run takes one, under a name that no other stage has."""
        namespace = uuid.uuid5(uuid.UUID(self.run), stage)
        return StageReport(self.clock, self.software.agent, namespace)


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
