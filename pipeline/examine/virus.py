"""The virus scan of one package: what was found goes to review, what was not scanned is reported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from packages.premis import Agent, AgentType, EventOutcome, EventType
from packages.problems.catalogue import problem
from pipeline.context import IngestContext
from pipeline.stage_report import StageReport
from pipeline.viruses.clamd import Clamd, ClamdState, ScanResult

if TYPE_CHECKING:
    from pipeline.examine import ExaminedFile

__all__ = ["VirusScan"]

_MAX_SIGNATURE_AGE = timedelta(days=7)
_LISTED = 20


class VirusScan:
    """Batch by batch; one event at the end."""

    def __init__(self, context: IngestContext, report: StageReport) -> None:
        self._context, self._report = context, report
        self._scanner: Clamd | None = context.tools.scanner
        self._state = self._scanner.state() if self._scanner else None
        self._why_not = self._state.problem if self._state else "no scanner configured"
        self._clean = 0
        self._infected: list[str] = []
        self._not_scanned: list[str] = []

    def scan(self, files: Sequence[ExaminedFile]) -> None:
        """Raises ToolFailed when the scanner dies on the way and stays away."""
        if self._scanner is None or self._why_not:
            return
        for file, one in zip(files, self._scanner.scan(f.place for f in files), strict=True):
            if one.result is ScanResult.CLEAN:
                self._clean += 1
            elif one.result is ScanResult.INFECTED:
                self._infected.append(f"{file.path}: {one.name}")
                self._report.add(problem("VIRUS-FOUND", file.path, found=one.name))
                self._report.ask_review(f"virus in {file.path}: {one.name}")
            else:
                self._not_scanned.append(f"{file.path}: {one.name}")
                self._report.add(problem("VIRUS-FILE-NOT-SCANNED", file.path, found=one.name))

    def close(self) -> None:
        """The event, and what follows for a package that was not scanned whole."""
        required = self._context.agreement.formats.virus_scan == "required"
        if self._state is None or self._why_not:
            self._report.add(problem("VIRUS-NOT-SCANNED", found=self._why_not))
            if required:
                self._report.ask_review(f"the agreement demands a virus scan: {self._why_not}")
            self._report.event(
                EventType.VIRUS_CHECK, self._why_not, outcome=EventOutcome.WARNING, note="not scanned"
            )
            return
        if self._not_scanned and required:
            self._report.ask_review(f"{len(self._not_scanned)} file(s) could not be scanned for viruses")
        self._weaknesses(self._state)
        self._event(self._state)

    def _weaknesses(self, state: ClamdState) -> None:
        """What makes its “clean” worth less than it sounds."""
        context, made = self._context, state.signature_date
        if made is not None and context.clock() - made > _MAX_SIGNATURE_AGE:
            self._report.add(problem("VIRUS-SIGNATURES-OLD", found=f"{made:%Y-%m-%d}"))
        if not state.detects:
            self._report.add(problem("VIRUS-TEST-FILE", found=str(state.signatures or "no number")))
        blind = [] if state.tells_limits else ["files over its limits (AlertExceedsMax)"]
        blind += [] if state.tells_encrypted else ["encrypted archives (AlertEncrypted)"]
        if blind:
            self._report.add(problem("VIRUS-BLIND", found=" and ".join(blind)))

    def _event(self, state: ClamdState) -> None:
        counts = f"clean ×{self._clean}, infected ×{len(self._infected)}"
        counts += f", not scanned ×{len(self._not_scanned)}"
        listed = [*self._infected[:_LISTED], *self._not_scanned[:_LISTED]]
        signatures = f"signatures {state.signatures or 'without a number'}"
        signatures += f" of {state.signature_date:%Y-%m-%d}" if state.signature_date else ""
        outcome = EventOutcome.WARNING if self._not_scanned else EventOutcome.SUCCESS
        self._report.event(
            EventType.VIRUS_CHECK,
            signatures,
            note="; ".join([counts, *listed]),
            outcome=EventOutcome.FAILURE if self._infected else outcome,
            agent=Agent(f"clamav-{state.version}", "ClamAV", AgentType.SOFTWARE, state.version),
        )
