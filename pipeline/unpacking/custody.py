"""Taking bytes into our custody: one read of the source, hashed as it is written.

From here on nothing depends on the source: it may change or vanish, and the private copy is
exactly the bytes whose digests we know (docs/adr/0003-custody-copy.md).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from packages import paths
from packages.containers.sources import (
    CorruptArchive,
    Entry,
    Opener,
    Source,
    SourceUnreadable,
    corruption,
)
from packages.worklist import ReceivedFile, Worklist
from pipeline.context import IngestContext
from pipeline.errors import SubmissionUnreadable, WorkAreaUnusable
from storage.copying import Copied, TooLong, copy_hashed

__all__ = ["Fingerprint", "our_reading", "take_custody"]

_BATCH = 1000
_CONTAINERS = (b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,12}$")


@dataclass(slots=True)
class Fingerprint:
    """How many files there are and, in one number, which: to see that a folder has not changed."""

    files: int = 0
    names: int = 0

    def add(self, path: str, size: int) -> None:
        """One file more, in any order."""
        self.files += 1
        self.names ^= hash((path, size))


@contextmanager
def our_reading() -> Iterator[None]:
    """What no package is to blame for (nothing there, no permission, a failing disk) is ours to act on.

    Raises SubmissionUnreadable for SourceUnreadable, which no layer above knows.
    """
    try:
        yield
    except SourceUnreadable as error:
        raise SubmissionUnreadable(str(error)) from error


@our_reading()
def take_custody(source: Source, folder: str, worklist: Worklist, context: IngestContext) -> Fingerprint:
    """Copy the bag in ``folder`` into the work area and list its files with their digests.

    The answer covers all files of the source, those outside the bag too.
    Raises CorruptArchive when the archive ends early, WorkAreaUnusable when there is no room.
    """
    batch: list[ReceivedFile] = []
    seen = Fingerprint()
    _make_content_folder(context.work)
    for entry, opener in source.contents():
        path = paths.normalise(entry.path)
        seen.add(path, entry.size)
        if not path.startswith(folder):
            continue
        path = path[len(folder) :]
        work = _work_name(seen.files, path)
        received = _take_one(
            entry, opener, path, work, worklist, context, packed=source.packed_size is not None
        )
        batch.append(received)
        if received.payload:
            context.identification.offer(work)
        if len(batch) >= _BATCH:
            worklist.add(batch)
            batch.clear()
    worklist.add(batch)
    context.identification.send()
    return seen


def _make_content_folder(work: Path) -> None:
    try:
        (work / "content").mkdir(exist_ok=True)
    except OSError as error:
        raise WorkAreaUnusable(f"cannot write {work}: {error.strerror}") from error


def _work_name(number: int, path: str) -> str:
    """A name of our own: no limits, nothing hostile; the extension stays as evidence."""
    extension = _EXTENSION.search(path)
    return f"{number // 10000:04d}/{number:07d}{extension.group() if extension else ''}"


def _take_one(
    entry: Entry,
    opener: Opener,
    path: str,
    work: str,
    worklist: Worklist,
    context: IngestContext,
    *,
    packed: bool,
) -> ReceivedFile:
    try:
        stream = opener()
    except PermissionError:
        raise SubmissionUnreadable(f"no permission to read {entry.path}") from None
    except OSError as error:
        raise SubmissionUnreadable(f"cannot read {entry.path}: {error.strerror}") from error
    with stream:
        descriptor = _create(f"{context.work}/content/{work}")
        try:
            copied = _copy(stream, descriptor, entry, worklist, context)
        finally:
            os.close(descriptor)
    if copied.size != entry.size and packed:
        shown = paths.printable(entry.path)
        raise CorruptArchive(f"{shown} has {copied.size} bytes; the archive lists it with {entry.size}")
    if copied.size != entry.size:
        raise SubmissionUnreadable(
            f"{paths.printable(entry.path)} is still being written, or was cut short: "
            f"{entry.size} bytes when it was listed, {copied.size} when it was read"
        )
    context.progress("receive", 0, 1)
    return ReceivedFile(
        path=path,
        original=path if path.isprintable() else paths.printable(path),
        size=copied.size,
        modified=entry.modified,
        work=work,
        digests=copied.digests,
        payload=path.startswith("data/"),
        container=copied.head[:4] in _CONTAINERS,
    )


def _copy(
    stream: BinaryIO, descriptor: int, entry: Entry, worklist: Worklist, context: IngestContext
) -> Copied:
    try:
        return copy_hashed(
            _guarded(stream),
            descriptor,
            worklist.algorithms,
            limit=entry.size,
            progress=lambda size: context.progress("receive", size, 0),
        )
    except TooLong as error:
        raise CorruptArchive(f"{paths.printable(entry.path)} has {error}") from None
    except OSError as error:  # reading has told us of its own faults already
        raise WorkAreaUnusable(f"cannot take the package: {error.strerror}") from error


def _guarded(stream: Any) -> Callable[[memoryview], int]:
    """Reading, with the source's faults told apart from ours, which are in writing."""

    def read_into(view: memoryview) -> int:
        with corruption():
            return stream.readinto(view) or 0

    return read_into


def _create(target: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        try:
            return os.open(target, flags, 0o444)
        except FileNotFoundError:
            # One level only: a work area that somebody swept away is not made again.
            Path(target).parent.mkdir(exist_ok=True)
            return os.open(target, flags, 0o444)
    except OSError as error:
        raise WorkAreaUnusable(f"cannot write {target}: {error.strerror}") from error
