"""Stage 1: open the submission safely, find the bag in it, take its bytes into custody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packages import paths
from packages.digest import DigestAlgorithm
from packages.premis import EventType
from packages.problem_catalogue import problem
from pipeline.context import IngestContext
from pipeline.receive.custody import take_custody
from pipeline.receive.safety import blocking, check_entries
from pipeline.receive.sources import (
    CorruptArchive,
    EncryptedArchive,
    Entry,
    EntryKind,
    Source,
    open_source,
)
from pipeline.worklist import Worklist

__all__ = ["ReceivedSip", "find_bag", "receive"]


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
    try:
        source = open_source(context.subject)
        if source is None:
            found = _form_of(context.subject)
            context.add(problem("ARC-UNSUPPORTED", context.subject.name, found=found))
            return None
        try:
            return _receive(source, context)
        finally:
            source.close()
    except EncryptedArchive as error:
        context.add(problem("ARC-ENCRYPTED", context.subject.name, found=str(error)))
    except CorruptArchive as error:
        context.add(problem("ARC-CORRUPT", context.subject.name, found=str(error)))
    return None


def _receive(source: Source, context: IngestContext) -> ReceivedSip | None:
    entries = list(source.entries())
    found = list(check_entries(entries, context.agreement.limits, source.packed_size))
    context.add(*found)
    files = [entry for entry in entries if entry.kind is EntryKind.FILE]
    if not files:
        context.add(problem("ARC-EMPTY" if entries else "BAG-NOT-A-BAG", found="it is empty"))
        return None
    if blocking(found):
        return None
    folder = find_bag(paths.normalise(entry.path) for entry in files)
    if folder is None:
        hint = _not_a_bag(files)
        context.add(problem("BAG-NOT-A-BAG", context.subject.name, found=hint))
        return None
    worklist = Worklist(context.work, _algorithms(files, folder))
    take_custody(source, _inside(files, folder), worklist, context)
    note = f"{len(files)} files from {paths.printable(context.subject.name)}"
    if source.form != "folder":
        context.event(EventType.UNPACKING, f"unpacked a {source.form} archive", note=note)
    algorithms = ", ".join(algorithm.mets_name for algorithm in worklist.algorithms)
    context.event(EventType.MESSAGE_DIGEST, f"{algorithms} of every byte taken in", note=note)
    return ReceivedSip(source.form, folder, worklist)


def find_bag(file_paths: Iterable[str]) -> str | None:
    """Where bagit.txt is: ``""`` at the top, ``"name/"`` in the only top folder; None if nowhere."""
    tops: set[str] = set()
    candidates: set[str] = set()
    for path in file_paths:
        top, slash, rest = path.partition("/")
        if path == "bagit.txt":
            return ""
        tops.add(top if slash else "")
        if rest == "bagit.txt":
            candidates.add(top)
    if len(tops) == 1 and candidates == tops:
        return f"{candidates.pop()}/"
    return None


def _not_a_bag(files: list[Entry]) -> str:
    names = ", ".join(paths.printable(entry.path) for entry in files[:3])
    return f"no bagit.txt; it holds {len(files)} file(s): {names}{'…' if len(files) > 3 else ''}"


def _inside(files: list[Entry], folder: str) -> Iterator[tuple[Entry, str]]:
    for entry in files:
        path = paths.normalise(entry.path)
        if path.startswith(folder):
            yield entry, path.removeprefix(folder)


def _algorithms(files: list[Entry], folder: str) -> Iterator[DigestAlgorithm]:
    """The algorithms of the bag's manifests, so that one pass computes all that is needed."""
    for entry in files:
        name = paths.normalise(entry.path).removeprefix(folder)
        if "/" in name or not name.endswith(".txt"):
            continue
        kind, _, algorithm = name.removesuffix(".txt").partition("-")
        known = DigestAlgorithm.parse(algorithm)
        if kind in ("manifest", "tagmanifest") and known:
            yield known


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
