"""The virus scan of one package: what was found is held, what was not scanned is said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from packages.premis import Agent, AgentType, EventOutcome, EventType
from packages.problem_catalogue import problem
from pipeline.context import IngestContext
from pipeline.virus import Clamd, ScanResult

if TYPE_CHECKING:
    from pipeline.examine import ExaminedFile

__all__ = ["VirusScan"]

_OLD = timedelta(days=7)
_LISTED = 20


class VirusScan:
    """Batch by batch; one event at the end."""

    def __init__(self, context: IngestContext) -> None:
        self._context = context
        self._scanner: Clamd | None = context.tools.scanner
        self._why_not = "no scanner configured"
        self._clean = 0
        self._infected: list[str] = []
        self._not_scanned: list[str] = []
        if self._scanner:
            state = self._scanner.state()
            if not state.usable:
                self._why_not, self._scanner = state.problem, None

    def scan(self, files: Sequence[ExaminedFile]) -> None:
        """Raises ToolFailed when the scanner dies on the way."""
        if self._scanner is None:
            return
        context = self._context
        for file, one in zip(files, self._scanner.scan(f.place for f in files), strict=True):
            if one.result is ScanResult.CLEAN:
                self._clean += 1
            elif one.result is ScanResult.INFECTED:
                self._infected.append(f"{file.path}: {one.said}")
                context.add(problem("VIRUS-FOUND", file.path, found=one.said))
                context.hold(f"virus in {file.path}: {one.said}")
            else:
                self._not_scanned.append(f"{file.path}: {one.said}")
                context.add(problem("VIRUS-FILE-NOT-SCANNED", file.path, found=one.said))

    def close(self) -> None:
        """The event, and what follows for a package that was not scanned whole."""
        context, required = self._context, self._context.agreement.formats.virus_scan == "required"
        if self._scanner is None:
            context.add(problem("VIRUS-NOT-SCANNED", found=self._why_not))
            if required:
                context.hold(f"the agreement demands a virus scan: {self._why_not}")
            context.event(
                EventType.VIRUS_CHECK, self._why_not, outcome=EventOutcome.WARNING, note="not scanned"
            )
            return
        if self._not_scanned and required:
            context.hold(f"{len(self._not_scanned)} file(s) could not be scanned for viruses")
        self._event(self._scanner)

    def _event(self, scanner: Clamd) -> None:
        context = self._context
        made = scanner.signature_date
        old = made is not None and context.clock() - made > _OLD
        if old and made is not None:
            context.add(problem("VIRUS-SIGNATURES-OLD", found=f"{made:%Y-%m-%d}"))
        if not scanner.detects:
            context.add(problem("VIRUS-TEST-FILE", found=scanner.signatures or "no number"))
        whole = not self._infected and not self._not_scanned
        counts = f"clean ×{self._clean}, infected ×{len(self._infected)}"
        counts += f", not scanned ×{len(self._not_scanned)}"
        listed = [*self._infected[:_LISTED], *self._not_scanned[:_LISTED]]
        signatures = f"signatures {scanner.signatures or 'without a number'}"
        signatures += f" of {made:%Y-%m-%d}" if made else ""
        context.event(
            EventType.VIRUS_CHECK,
            signatures,
            note="; ".join([counts, *listed]),
            outcome=EventOutcome.SUCCESS
            if whole
            else EventOutcome.FAILURE
            if self._infected
            else EventOutcome.WARNING,
            agent=Agent(f"clamav-{scanner.version}", "ClamAV", AgentType.SOFTWARE, scanner.version),
        )
