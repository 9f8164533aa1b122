"""Stage 3: what is every file? Formats by PRONOM in batches; containers looked into for locks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from packages.package_file import FileFormat
from packages.premis import Agent, AgentType, EventType
from packages.problem_catalogue import problem
from pipeline.context import IngestContext
from pipeline.examine.containers import inspect_container
from pipeline.examine.identification import Identifier
from pipeline.verify import VerifiedSip

__all__ = ["ExaminedSip", "examine"]

_BATCH = 2000
_REPORTED = 200  # findings of one kind listed by file; the rest are counted


@dataclass(frozen=True, slots=True)
class ExaminedSip:
    """A verified submission of which every file has a format or an explicit unknown."""

    verified: VerifiedSip
    identifier: str


def examine(verified: VerifiedSip, context: IngestContext) -> ExaminedSip:
    """Identify every payload file and report what an archivist should know."""
    worklist = verified.received.worklist
    identifier = Identifier(workers=context.workers)
    content = context.work / "content"
    refused = set(context.agreement.formats.refused)
    findings = _Findings(context)
    rows = worklist.work_files()
    while batch := list(islice(rows, _BATCH)):
        formats = identifier.identify([str(content / work) for _, _, work, *_ in batch])
        worklist.set_formats((row, known) for (row, *_), known in zip(batch, formats, strict=True))
        for (_, path, work, size, container), known in zip(batch, formats, strict=True):
            findings.judge(path, size, known)
            if known.puid in refused:
                preferred = context.agreement.formats.preferred or "another format"
                found = f"{known.puid} {known.name}"
                context.add(problem("FMT-REFUSED", path, expected=preferred, found=found))
            if container:
                context.add(*inspect_container(content / work, path, known))
        context.progress("examine", sum(size for *_, size, _ in batch), len(batch))
    findings.close()
    agent = Agent(
        f"siegfried-{identifier.version}", "Siegfried (pygfried)", AgentType.SOFTWARE,
        identifier.version,
    )  # fmt: skip
    context.event(
        EventType.FORMAT_IDENTIFICATION,
        f"signatures: {identifier.signatures}",
        note=_summary(worklist.format_totals()),
        agent=agent,
    )
    return ExaminedSip(verified, identifier.version)


def _summary(totals: Iterator[tuple[str, str, int, int]]) -> str:
    return "; ".join(f"{puid} ×{files}" for puid, _, files, _ in islice(totals, 40))


class _Findings:
    """Findings by file up to a number, then as one count: a report must stay readable."""

    def __init__(self, context: IngestContext) -> None:
        self._context = context
        self._counts: dict[str, int] = {}

    def judge(self, path: str, size: int, known: FileFormat) -> None:
        if size == 0:
            self._report("FMT-EMPTY", path, "0 bytes")
        elif not known.is_known:
            self._report("FMT-UNKNOWN", path, known.warning)
        elif "extension mismatch" in known.warning:
            self._report("FMT-EXTENSION", path, f"{known.puid} {known.name}")

    def _report(self, code: str, path: str, found: str) -> None:
        number = self._counts[code] = self._counts.get(code, 0) + 1
        if number <= _REPORTED:
            self._context.add(problem(code, path, found=found))

    def close(self) -> None:
        for code, number in self._counts.items():
            if number > _REPORTED:
                rest = f"… and {number - _REPORTED} more files"
                self._context.add(problem(code, rest, found="see the AIP's PREMIS"))
