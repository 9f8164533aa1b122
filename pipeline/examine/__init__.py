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
from pipeline.formats.identification import DISAGREES
from pipeline.verify import VerifiedSip
from pipeline.worklist import Worklist

__all__ = ["ExaminedSip", "examine", "examine_files"]

_BATCH = 2000


@dataclass(frozen=True, slots=True)
class ExaminedSip:
    """A verified submission of which every file has a format or an explicit unknown."""

    verified: VerifiedSip
    identifier: str


def examine(verified: VerifiedSip, context: IngestContext) -> ExaminedSip:
    """Identify every payload file and report what an archivist should know."""
    examine_files(verified.received.worklist, context)
    return ExaminedSip(verified, context.identification.identifier.version)


def examine_files(worklist: Worklist, context: IngestContext) -> None:
    """Give every file its format.

    The answers were asked for when the files arrived, so that much of the work is done by now.
    """
    identifier = context.identification.identifier
    content = context.work / "content"
    refused = set(context.agreement.formats.refused)
    answers = context.identification.formats()
    rows = worklist.work_files()
    while batch := list(islice(rows, _BATCH)):
        formats = list(islice(answers, len(batch)))
        worklist.set_formats((row, known) for (row, *_), known in zip(batch, formats, strict=True))
        for (_, path, work, size, container), known in zip(batch, formats, strict=True):
            _judge(path, size, known, context)
            if known.puid in refused:
                preferred = context.agreement.formats.preferred or "another format"
                found = f"{known.puid} {known.name}"
                context.add(problem("FMT-REFUSED", path, expected=preferred, found=found))
            if container:
                context.add(*inspect_container(content / work, path, known))
        context.progress("examine", sum(size for *_, size, _ in batch), len(batch))
    agent = Agent(
        f"siegfried-{identifier.version}", "Siegfried (pygfried)", AgentType.SOFTWARE,
        identifier.version,
    )  # fmt: skip
    context.event(
        EventType.FORMAT_IDENTIFICATION,
        f"signatures: {identifier.signatures}",
        note=_summary(worklist.format_totals())
        + (f"; second opinion: {identifier.second}" if identifier.second else ""),
        agent=agent,
    )


def _judge(path: str, size: int, known: FileFormat, context: IngestContext) -> None:
    if size == 0:
        context.add(problem("FMT-EMPTY", path, found="0 bytes"))
    elif not known.is_known:
        context.add(problem("FMT-UNKNOWN", path, found=known.warning))
    if DISAGREES in known.warning:
        context.add(
            problem("FMT-DISAGREE", path, expected=f"{known.puid} {known.name}", found=known.warning)
        )
    if size and known.is_known and "extension mismatch" in known.warning:
        context.add(problem("FMT-EXTENSION", path, found=f"{known.puid} {known.name}"))


def _summary(totals: Iterator[tuple[str, str, int, int]]) -> str:
    return "; ".join(f"{puid} ×{files}" for puid, _, files, _ in islice(totals, 40))
