"""Taking bytes into our custody: one read of the source, hashed as it is written.

From here on nothing depends on the source: it may change or vanish, and the private copy is
exactly the bytes whose digests we know (docs/adr/0003-custody-copy.md).
"""

from __future__ import annotations

import os
import queue
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from packages import paths
from packages.digest import DigestAlgorithm, MultiHasher
from pipeline.context import IngestContext
from pipeline.errors import SubmissionUnreadable, WorkAreaUnusable
from pipeline.receive.sources import CorruptArchive, Entry, Source, corruption
from pipeline.worklist import ReceivedFile, Worklist

_CHUNK = 1 << 20
_THREADED_FROM = 8 << 20
_BATCH = 1000
_CONTAINERS = (b"PK\x03\x04", b"7z\xbc\xaf", b"Rar!")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,12}$")


def take_custody(
    source: Source,
    entries: Iterable[tuple[Entry, str]],
    worklist: Worklist,
    context: IngestContext,
) -> None:
    """Copy files into the work area and list them with their digests.

    ``entries`` pairs each file with its path in the bag.
    Raises CorruptArchive when the archive ends early, WorkAreaUnusable when there is no room.
    """
    content = f"{context.work}/content"
    batch: list[ReceivedFile] = []
    for number, (entry, path) in enumerate(entries):
        work = _work_name(number, path)
        batch.append(_take_one(source, entry, path, content, work, worklist.algorithms, context))
        if len(batch) >= _BATCH:
            worklist.add(batch)
            batch.clear()
    worklist.add(batch)


def _work_name(number: int, path: str) -> str:
    """A name of our own: no limits, nothing hostile; the extension stays as evidence."""
    extension = _EXTENSION.search(path)
    return f"{number // 10000:04d}/{number:07d}{extension.group() if extension else ''}"


def _take_one(
    source: Source,
    entry: Entry,
    path: str,
    content: str,
    work: str,
    algorithms: tuple[DigestAlgorithm, ...],
    context: IngestContext,
) -> ReceivedFile:
    descriptor = _create(f"{content}/{work}")
    with open(descriptor, "wb", buffering=0) as sink:
        try:
            stream = source.open(entry)
        except PermissionError:
            raise SubmissionUnreadable(f"no permission to read {entry.path}") from None
        with stream:
            read = _guarded(stream)
            head = read(min(_CHUNK, entry.size + 1))
            _write(sink.write, head)
            if entry.size >= _THREADED_FROM:
                size, digests = _copy_threaded(head, read, sink.write, algorithms, context)
            else:
                size, digests = _copy(head, read, sink.write, algorithms, entry, path)
                context.progress("receive", size, 1)
    return ReceivedFile(
        path=path,
        original=path if path.isprintable() else paths.printable(path),
        size=size,
        modified=entry.modified,
        work=work,
        digests=digests,
        payload=path.startswith("data/"),
        container=head[:4] in _CONTAINERS,
    )


def _guarded(stream: BinaryIO) -> Callable[[int], bytes]:
    """Reading, with the source's faults told apart from ours, which are in writing."""

    def read(size: int) -> bytes:
        with corruption():
            return stream.read(size)

    return read


def _create(target: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        try:
            return os.open(target, flags, 0o444)
        except FileNotFoundError:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            return os.open(target, flags, 0o444)
    except OSError as error:
        raise WorkAreaUnusable(f"cannot write {target}: {error.strerror}") from error


def _write(write: Callable[[bytes], int | None], chunk: bytes) -> None:
    try:
        view = memoryview(chunk)
        while view:
            view = view[write(view) or 0 :]  # type: ignore[arg-type]
    except OSError as error:
        raise WorkAreaUnusable(f"cannot take the package: {error.strerror}") from error


def _copy(
    head: bytes,
    read: Callable[[int], bytes],
    write: Callable[[bytes], int | None],
    algorithms: tuple[DigestAlgorithm, ...],
    entry: Entry,
    path: str,
) -> tuple[int, Mapping[DigestAlgorithm, str]]:
    hasher = MultiHasher(algorithms)
    hasher.update(head)
    while chunk := read(_CHUNK):
        hasher.update(chunk)
        _write(write, chunk)
        if hasher.size > entry.size + _CHUNK:
            raise CorruptArchive(f"{path} is longer than its archive says")
    return hasher.size, hasher.hexdigests()


def _copy_threaded(
    head: bytes,
    read: Callable[[int], bytes],
    write: Callable[[bytes], int | None],
    algorithms: tuple[DigestAlgorithm, ...],
    context: IngestContext,
) -> tuple[int, Mapping[DigestAlgorithm, str]]:
    """As ``_copy``, for large files: a thread an algorithm, so that hashing runs beside I/O."""
    hashers = [MultiHasher((algorithm,)) for algorithm in algorithms]
    queues: list[queue.Queue[bytes | None]] = [queue.Queue(8) for _ in hashers]

    def work(hasher: MultiHasher, chunks: queue.Queue[bytes | None]) -> None:
        while (chunk := chunks.get()) is not None:
            hasher.update(chunk)

    threads = [
        threading.Thread(target=work, args=pair, daemon=True) for pair in zip(hashers, queues, strict=True)
    ]
    for thread in threads:
        thread.start()
    for waiting in queues:
        waiting.put(head)
    context.progress("receive", len(head), 0)
    try:
        while chunk := read(_CHUNK):
            for waiting in queues:
                waiting.put(chunk)
            _write(write, chunk)
            context.progress("receive", len(chunk), 0)
    finally:
        for waiting in queues:
            waiting.put(None)
        for thread in threads:
            thread.join()
    context.progress("receive", 0, 1)
    return hashers[0].size, {a: d for h in hashers for a, d in h.hexdigests().items()}
