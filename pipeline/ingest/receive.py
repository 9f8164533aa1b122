"""Stage 1: open the submission safely, find the bag in it, take its bytes into custody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from packages import paths
from packages.bag.finder import BagFinder
from packages.containers.sources import (
    CorruptArchive,
    EncryptedArchive,
    EntryKind,
    Source,
    TooManyEntries,
    open_source,
)
from packages.premis import EventType
from packages.problems.catalogue import problem
from packages.problems.problem import Problem, Severity
from packages.worklist import Worklist
from pipeline.context import IngestContext
from pipeline.errors import SubmissionUnreadable
from pipeline.stage_report import StageReport
from pipeline.unpacking.custody import Fingerprint, our_reading, take_custody
from pipeline.unpacking.safety import Screening

__all__ = ["ReceivedSip", "archive_faults", "receive", "screen"]


@dataclass(frozen=True, slots=True)
class ReceivedSip:
    """A submission whose bytes are in our custody, not yet judged."""

    form: str
    folder: str
    worklist: Worklist


def receive(context: IngestContext) -> tuple[ReceivedSip | None, StageReport]:
    """Take the submission in; None when nothing of it may be unpacked (see the problems).

    Raises SubmissionUnreadable, WorkAreaUnusable.
    """
    report = context.report("receive")
    with archive_faults(context, report):
        source = open_source(context.subject, context.agreement.limits)
        if source is None:
            found = _form_of(context.subject)
            report.add(problem("ARC-UNSUPPORTED", context.subject_name, found=found))
            return None, report
        with closing(source):
            return _receive(source, context, report), report
    return None, report


@contextmanager
def archive_faults(context: IngestContext, report: StageReport) -> Iterator[None]:
    """An archive that cannot be read is a finding; what comes after it is skipped.

    Raises SubmissionUnreadable where the package is not to blame.
    """
    try:
        with our_reading():
            yield
    except EncryptedArchive as error:
        report.add(problem("ARC-ENCRYPTED", context.subject_name, found=str(error)))
    except CorruptArchive as error:
        report.add(problem("ARC-CORRUPT", context.subject_name, found=str(error)))
    except TooManyEntries as error:
        limits = context.agreement.limits
        limit = f"{limits.max_files:,} files, {limits.max_memory >> 20} MiB"
        report.add(problem("ARC-BUDGET", context.subject_name, expected=limit, found=str(error)))


def _receive(source: Source, context: IngestContext, report: StageReport) -> ReceivedSip | None:
    finder, listed = BagFinder(), Fingerprint()

    def look(path: str, size: int) -> None:
        listed.add(path, size)
        finder.look(path)

    screening, blocked = screen(source, context, report, look)
    if not screening.files:
        report.add(problem("ARC-EMPTY" if screening.entries else "BAG-NOT-A-BAG", found="it is empty"))
        return None
    if blocked:
        return None
    folder = finder.folder
    if folder is None:
        found = finder.why_none or _not_a_bag(screening)
        report.add(problem("BAG-NOT-A-BAG", context.subject_name, found=found))
        return None
    if folder and finder.leftovers:
        names = ", ".join(paths.printable(one) for one in finder.leftovers)
        more = "…" if finder.leftover_count > len(finder.leftovers) else ""
        found = f"{finder.leftover_count} file(s): {names}{more}"
        report.add(problem("ARC-LEFTOVERS", context.subject_name, found=found))
    worklist = Worklist(context.work, finder.algorithms)
    taken = take_custody(source, folder, worklist, context)
    if taken != listed:
        raise SubmissionUnreadable(f"{context.subject} changed while it was being read")
    note = f"{taken.files} files from {context.subject_name}"
    if source.form != "folder":
        report.event(EventType.UNPACKING, f"unpacked a {source.form} archive", note=note)
    algorithms = ", ".join(algorithm.mets_name for algorithm in worklist.algorithms)
    report.event(EventType.MESSAGE_DIGEST, f"{algorithms} of every byte taken in", note=note)
    return ReceivedSip(source.form, folder, worklist)


def screen(
    source: Source, context: IngestContext, report: StageReport, look: Callable[[str, int], None]
) -> tuple[Screening, bool]:
    """Report on every entry and show ``look`` the files; whether nothing may be written to disk."""
    screening = Screening(context.work, context.agreement.limits, source.packed_size)
    blocked = False
    for entry in source.entries():
        if entry.kind is EntryKind.FILE:
            look(paths.normalise(entry.path), entry.size)
        blocked |= _blocks(report, screening.look(entry))
        if screening.is_hopeless:
            break
    blocked |= _blocks(report, screening.close())
    return screening, blocked


def _blocks(report: StageReport, found: Iterable[Problem]) -> bool:
    """Report findings; whether one of them forbids writing anything of the submission to disk."""
    blocked = False
    for finding in found:
        report.add(finding)
        blocked |= finding.severity is Severity.ERROR and finding.code.startswith(("PATH-", "ARC-"))
    return blocked


def _not_a_bag(screening: Screening) -> str:
    some = ", ".join(screening.examples)
    more = "…" if screening.files > len(screening.examples) else ""
    return f"no bagit.txt; it holds {screening.files} file(s): {some}{more}"


_SIGNATURES = {
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x1f\x8b": "gzip, but no tar inside",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"%PDF": "a PDF document",
    b"!<arch>": "an ar archive",
    b"07070": "a cpio archive",
}


def _form_of(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(16)
    if not head:
        return "an empty file"
    for signature, name in _SIGNATURES.items():
        if head.startswith(signature):
            return name
    return "not an archive we know"
