"""What is every file, is it valid, and does the policy want it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from packages.package_file import FileFormat
from packages.premis import Agent, AgentType, EventType
from packages.problems.catalogue import problem
from packages.worklist import Worklist
from pipeline.context import IngestContext
from pipeline.examine.policy import apply_policy
from pipeline.examine.validation import ValidationCheck
from pipeline.examine.virus import VirusScan
from pipeline.formats.archives import is_locked_format
from pipeline.formats.identification import DISAGREES
from pipeline.stage_report import StageReport

__all__ = ["ExaminedFile", "examine_files"]

_BATCH = 2000


@dataclass(frozen=True, slots=True)
class ExaminedFile:
    """One file while it is looked at: its row in the worklist, its name, where its bytes are."""

    row: int
    path: str
    place: Path
    size: int
    known: FileFormat


def examine_files(worklist: Worklist, context: IngestContext) -> StageReport:
    """Give every file its format, look whether it is valid, and ask the policy.

    The formats were asked for when the files arrived, so that much of the work is done by now.
    """
    report = context.report("examine")
    content = context.work / "content"
    answers = context.identification.formats()
    validation, virus = ValidationCheck(context, report), VirusScan(context, report)
    rows = worklist.work_files()
    while batch := list(islice(rows, _BATCH)):
        formats = list(islice(answers, len(batch)))
        worklist.set_formats((row, known) for (row, *_), known in zip(batch, formats, strict=True))
        files, archives = [], []
        for (row, path, work, size, container), known in zip(batch, formats, strict=True):
            file = ExaminedFile(row, path, content / work, size, known)
            files.append(file)
            _judge(file, report)
            apply_policy(file, context, report)
            if container or is_locked_format(known):
                archives.append((file.place, path, known))
        for found in context.tools.archives.look(archives):
            report.add(*found)
        virus.scan(files)
        worklist.set_validation(validation.check(files))
        context.progress("examine", sum(size for *_, size, _ in batch), len(batch))
    _identification_event(worklist, context, report)
    _review(worklist, context, report)
    virus.close()
    validation.close(worklist)
    return report


def _identification_event(worklist: Worklist, context: IngestContext, report: StageReport) -> None:
    identifier = context.identification.identifier
    agent = Agent(
        f"siegfried-{identifier.version}", "Siegfried (pygfried)", AgentType.SOFTWARE,
        identifier.version,
    )  # fmt: skip
    report.event(
        EventType.FORMAT_IDENTIFICATION,
        f"signatures: {identifier.signatures}",
        note="; ".join(filter(None, (_summary(worklist.format_totals()), identifier.second))),
        agent=agent,
    )


def _review(worklist: Worklist, context: IngestContext, report: StageReport) -> None:
    """What the agreement leaves to an archivist about the package as a whole."""
    agreed = context.agreement
    if agreed.review:
        report.add(problem("AGREE-REVIEW", found=agreed.review))
        report.ask_review(agreed.review)
    totals = {puid: files for puid, _, files, *_ in worklist.format_totals()}
    share = 100 * totals.get("unknown", 0) / max(sum(totals.values()), 1)
    if share > agreed.formats.unidentified_limit:
        report.ask_review(
            f"{totals['unknown']} of {sum(totals.values())} files have no known format: more than the "
            f"{agreed.formats.unidentified_limit:g} % of agreement “{agreed.name}”"
        )


def _judge(file: ExaminedFile, report: StageReport) -> None:
    known = file.known
    said = f"{known.puid} {known.name}"
    if file.size == 0:
        report.add(problem("FMT-EMPTY", file.path, found="0 bytes"))
        return
    if not known.is_known:
        report.add(problem("FMT-UNKNOWN", file.path, found=known.warning))
    elif "extension mismatch" in known.warning:
        report.add(problem("FMT-EXTENSION", file.path, found=said))
    if DISAGREES in known.warning:
        report.add(problem("FMT-DISAGREE", file.path, expected=said, found=known.warning))


def _summary(totals: Iterator[tuple[str, str, int, int, int, str]]) -> str:
    return "; ".join(f"{puid} ×{files}" for puid, _, files, *_ in islice(totals, 40))
