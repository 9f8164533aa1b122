"""Stage 1: open the submission safely, find the bag in it, take its bytes into custody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from packages import paths
from packages.digest import DigestAlgorithm
from packages.premis import EventType
from packages.problem import Problem, Severity
from packages.problem_catalogue import problem
from pipeline.context import IngestContext
from pipeline.errors import SubmissionUnreadable
from pipeline.receive.custody import Fingerprint, take_custody
from pipeline.receive.safety import Screening
from pipeline.receive.sources import (
    CorruptArchive,
    EncryptedArchive,
    EntryKind,
    Source,
    TooManyEntries,
    open_source,
)
from pipeline.worklist import Worklist

__all__ = ["BagFinder", "ReceivedSip", "archive_faults", "receive", "screen"]


@dataclass(frozen=True, slots=True)
class ReceivedSip:
    """A submission whose bytes are in our custody, not yet judged."""

    form: str
    folder: str
    worklist: Worklist


def receive(context: IngestContext) -> ReceivedSip | None:
    """Take the submission in; None when nothing of it may be unpacked (see the problems).

    Raises SubmissionUnreadable, WorkAreaUnusable.
    """
    with archive_faults(context):
        source = open_source(context.subject, context.agreement.limits)
        if source is None:
            found = _form_of(context.subject)
            context.add(problem("ARC-UNSUPPORTED", context.subject_name, found=found))
            return None
        with closing(source):
            return _receive(source, context)
    return None


@contextmanager
def archive_faults(context: IngestContext) -> Iterator[None]:
    """An archive that cannot be read is a finding; what comes after it is skipped."""
    try:
        yield
    except EncryptedArchive as error:
        context.add(problem("ARC-ENCRYPTED", context.subject_name, found=str(error)))
    except CorruptArchive as error:
        context.add(problem("ARC-CORRUPT", context.subject_name, found=str(error)))
    except TooManyEntries as error:
        limits = context.agreement.limits
        limit = f"{limits.max_files:,} files, {limits.max_memory >> 20} MiB"
        context.add(problem("ARC-BUDGET", context.subject_name, expected=limit, found=str(error)))


def _receive(source: Source, context: IngestContext) -> ReceivedSip | None:
    finder = BagFinder()
    screening, blocked = screen(source, context, finder.look)
    if not screening.files:
        context.add(problem("ARC-EMPTY" if screening.entries else "BAG-NOT-A-BAG", found="it is empty"))
        return None
    if blocked:
        return None
    folder = finder.folder
    if folder is None:
        found = finder.why_none or _not_a_bag(screening)
        context.add(problem("BAG-NOT-A-BAG", context.subject_name, found=found))
        return None
    if folder and finder.leftovers:
        names = ", ".join(paths.printable(one) for one in finder.leftovers)
        more = "…" if finder.leftover_count > len(finder.leftovers) else ""
        found = f"{finder.leftover_count} file(s): {names}{more}"
        context.add(problem("ARC-LEFTOVERS", context.subject_name, found=found))
    worklist = Worklist(context.work, finder.algorithms)
    taken = take_custody(source, folder, worklist, context)
    if taken != finder.fingerprint:
        raise SubmissionUnreadable(f"{context.subject} changed while it was being read")
    note = f"{taken.files} files from {context.subject_name}"
    if source.form != "folder":
        context.event(EventType.UNPACKING, f"unpacked a {source.form} archive", note=note)
    algorithms = ", ".join(algorithm.mets_name for algorithm in worklist.algorithms)
    context.event(EventType.MESSAGE_DIGEST, f"{algorithms} of every byte taken in", note=note)
    return ReceivedSip(source.form, folder, worklist)


def screen(
    source: Source, context: IngestContext, look: Callable[[str, int], None]
) -> tuple[Screening, bool]:
    """Report on every entry and show ``look`` the files; whether nothing may be written to disk."""
    screening = Screening(context.work, context.agreement.limits, source.packed_size)
    blocked = False
    for entry in source.entries():
        if entry.kind is EntryKind.FILE:
            look(paths.normalise(entry.path), entry.size)
        blocked |= _report(context, screening.look(entry))
        if screening.is_hopeless:
            break
    blocked |= _report(context, screening.close())
    return screening, blocked


def _report(context: IngestContext, found: Iterable[Problem]) -> bool:
    """Report findings; whether one of them forbids writing anything of the submission to disk."""
    blocked = False
    for finding in found:
        context.add(finding)
        blocked |= finding.severity is Severity.ERROR and finding.code.startswith(("PATH-", "ARC-"))
    return blocked


class BagFinder:
    """Finds the bag among the files of a submission, shown to it one by one."""

    def __init__(self) -> None:
        self.leftovers: list[str] = []
        self.leftover_count = 0
        self.backslashes = ""
        self._at_top = False
        self._tops: set[str] = set()
        self._candidates: set[str] = set()
        self._manifests: list[str] = []
        self.fingerprint = Fingerprint()

    def look(self, path: str, size: int) -> None:
        """A file of the submission, its path normalised."""
        self.fingerprint.add(path, size)
        top, slash, rest = path.partition("/")
        self._at_top |= path == "bagit.txt"
        if not self.backslashes and "\\" in path:
            self.backslashes = path
        if _is_leftover(path):
            self.leftover_count += 1
            self.leftovers += [path] if len(self.leftovers) < _MAX_NAMED else []
            return
        if len(self._tops) < 2:  # more than one is all there is to know
            self._tops.add(top if slash else "")
        if rest == "bagit.txt" and len(self._candidates) <= _MAX_NAMED:
            self._candidates.add(top)
        if path.count("/") <= 1 and _manifest_algorithm(path.rpartition("/")[2]):
            self._manifests.append(path)

    @property
    def folder(self) -> str | None:
        """``""`` with bagit.txt at the top, ``"name/"`` in the only top folder, None if nowhere."""
        if self._at_top:
            return ""
        if len(self._tops) == 1 and self._candidates == self._tops:
            return f"{next(iter(self._candidates))}/"
        return None

    @property
    def why_none(self) -> str:
        """Why no bag was found, where more can be said than that there is no bagit.txt."""
        if len(self._candidates) > 1:
            names = ", ".join(f"“{paths.printable(one)}”" for one in sorted(self._candidates)[:_MAX_NAMED])
            return f"it holds several bags ({names}); hand over each of them by itself"
        if len(self._candidates) == 1:
            bag = f"“{paths.printable(next(iter(self._candidates)))}”"
            return f"bagit.txt is in the folder {bag}, and other files or folders lie beside that folder"
        if self.backslashes:
            shown = paths.printable(self.backslashes)
            return (
                f"its names separate folders by backslashes (“{shown}”), where archives have “/” "
                "(APPNOTE 4.4.17.1); pack it with another program"
            )
        return ""

    @property
    def algorithms(self) -> Iterator[DigestAlgorithm]:
        """Those of the bag's manifests, so that one pass over the bytes computes all that is needed."""
        folder = self.folder or ""
        for path in self._manifests:
            algorithm = _manifest_algorithm(path.removeprefix(folder))
            if algorithm:
                yield algorithm


_MAX_NAMED = 3
_LEFT_BY_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")


def _is_leftover(path: str) -> bool:
    """What macOS and Windows put beside a folder they pack: no part of what was meant to be packed."""
    return path.startswith("__MACOSX/") or (
        "/" not in path and (path.startswith("._") or path in _LEFT_BY_SYSTEMS)
    )


def _manifest_algorithm(name: str) -> DigestAlgorithm | None:
    kind, dash, algorithm = name.removesuffix(".txt").partition("-")
    if kind not in ("manifest", "tagmanifest") or not dash or not name.endswith(".txt"):
        return None
    return DigestAlgorithm.parse(algorithm)


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
