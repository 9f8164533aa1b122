"""Copying a stream into a file: every byte read once, hashed while it is written.

Large files go past the page cache (O_DIRECT) where the file system allows it: the disk then works
beside the hashing, and nothing waits for gigabytes of dirty pages at the commit. Measured here on
one virtual disk: 350 MiB/s through the cache with its flush, 1,000 MiB/s and more past it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from packages.digest import DigestAlgorithm, MultiHasher

__all__ = ["LARGE", "Copied", "TooLong", "copy_hashed", "write_hashed"]

LARGE = 8 << 20
"""From this size on (bytes) hashing and writing run in threads of their own."""

_BUFFER = 4 << 20
_BUFFERS = 4
_ALIGNMENT = 4096
ReadInto = Callable[[memoryview], int]
"""Fills (part of) a buffer and returns the number of bytes; 0 at the end."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was written: ``size`` bytes, their digests (hexadecimal), and the first of them."""

    size: int
    digests: Mapping[DigestAlgorithm, str]
    head: bytes


def copy_hashed(
    read_into: ReadInto,
    descriptor: int,
    algorithms: Iterable[DigestAlgorithm],
    *,
    expected_size: int,
    progress: Callable[[int], None] | None = None,
) -> Copied:
    """Copy a stream to an open, empty file.

    Raises whatever ``read_into`` raises, OSError when writing fails, and ``TooLong`` as soon as the
    stream is clearly longer than ``expected_size``.
    """
    if expected_size < LARGE:
        return _copy_small(read_into, descriptor, algorithms, expected_size, progress)
    return _LargeCopy(read_into, descriptor, tuple(algorithms), expected_size, progress).run()


def write_hashed(sink: BinaryIO, chunks: Iterable[bytes]) -> tuple[int, str]:
    """Write bytes that are made as we go; their number and their SHA-512 (hexadecimal)."""
    hasher, size = hashlib.sha512(), 0
    for chunk in chunks:
        hasher.update(chunk)
        sink.write(chunk)
        size += len(chunk)
    return size, hasher.hexdigest()


class TooLong(ValueError):
    """The stream has more bytes than it was said to have."""


_local = threading.local()


def _scratch() -> memoryview:
    """One buffer a thread, kept: allocating one for each of a million small files costs more."""
    view: memoryview | None = getattr(_local, "view", None)
    if view is None:
        view = _local.view = memoryview(bytearray(1 << 20))
    return view


def _copy_small(
    read_into: ReadInto,
    descriptor: int,
    algorithms: Iterable[DigestAlgorithm],
    expected_size: int,
    progress: Callable[[int], None] | None,
) -> Copied:
    buffer = _scratch()
    hasher = MultiHasher(algorithms)
    head = b""
    while count := read_into(buffer):
        chunk = buffer[:count]
        head = head or bytes(chunk[:16])
        hasher.update(chunk)
        _write_all(descriptor, chunk)
        if hasher.size > expected_size + len(buffer):
            raise TooLong(f"more than the {expected_size} bytes announced")
    if progress:
        progress(hasher.size)
    return Copied(hasher.size, hasher.hexdigests(), head)


def _write_all(descriptor: int, view: memoryview) -> None:
    while view:  # a write may be short, and says so only in its answer
        view = view[os.write(descriptor, view) :]


class _Buffer:
    """A page-aligned buffer that goes back to the pool when its last reader is done with it."""

    def __init__(self, pool: queue.Queue[_Buffer]) -> None:
        self.view = memoryview(mmap.mmap(-1, _BUFFER))
        self.length = 0
        self._pool = pool
        self._readers = 0
        self._lock = threading.Lock()

    def lend(self, readers: int) -> None:
        self._readers = readers

    def give_back(self) -> None:
        with self._lock:
            self._readers -= 1
            free = self._readers == 0
        if free:
            self._pool.put(self)

    @property
    def filled(self) -> memoryview:
        return self.view[: self.length]


class _LargeCopy:
    """The caller's thread reads; one thread writes and one an algorithm hashes."""

    def __init__(
        self,
        read_into: ReadInto,
        descriptor: int,
        algorithms: tuple[DigestAlgorithm, ...],
        expected_size: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._read_into = read_into
        self._writer = _DirectWriter(descriptor)
        self._hashers = [MultiHasher((algorithm,)) for algorithm in algorithms]
        self._expected = expected_size
        self._progress = progress
        self._pool: queue.Queue[_Buffer] = queue.Queue()
        for _ in range(_BUFFERS):
            self._pool.put(_Buffer(self._pool))
        self._failure: OSError | None = None

    def run(self) -> Copied:
        consumers = [self._writer.write, *(hasher.update for hasher in self._hashers)]
        queues: list[queue.Queue[_Buffer | None]] = [queue.Queue() for _ in consumers]
        threads = [
            threading.Thread(target=self._consume, args=pair, daemon=True)
            for pair in zip(consumers, queues, strict=True)
        ]
        for thread in threads:
            thread.start()
        try:
            head, size = self._read_all(queues)
        finally:
            for waiting in queues:
                waiting.put(None)
            for thread in threads:
                thread.join()
        if self._failure:
            raise self._failure
        return Copied(size, {a: d for h in self._hashers for a, d in h.hexdigests().items()}, head)

    def _consume(self, consume: Callable[[memoryview], None], work: queue.Queue[_Buffer | None]) -> None:
        while (buffer := work.get()) is not None:
            try:
                if self._failure is None:
                    consume(buffer.filled)
            except OSError as error:
                self._failure = error  # the reading thread sees it at its next buffer
            finally:
                buffer.give_back()

    def _read_all(self, queues: list[queue.Queue[_Buffer | None]]) -> tuple[bytes, int]:
        head, size = b"", 0
        while self._failure is None:
            buffer = self._pool.get()
            buffer.length = self._fill(buffer.view)
            if not buffer.length:
                break
            head = head or bytes(buffer.view[:16])
            size += buffer.length
            if size > self._expected + _BUFFER:
                raise TooLong(f"more than the {self._expected} bytes announced")
            length = buffer.length  # the buffer may be another's as soon as it is lent
            buffer.lend(len(queues))
            for waiting in queues:
                waiting.put(buffer)
            if self._progress:
                self._progress(length)
        return head, size

    def _fill(self, view: memoryview) -> int:
        """As much as there is: only whole blocks can be written past the cache."""
        filled = 0
        while filled < len(view):
            count = self._read_into(view[filled:])
            if not count:
                break
            filled += count
        return filled


class _DirectWriter:
    """Writes past the page cache as long as the file system takes it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._direct = self._set_direct(True)

    def _set_direct(self, wanted: bool) -> bool:
        if not hasattr(os, "O_DIRECT"):
            return False
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        flags = flags | os.O_DIRECT if wanted else flags & ~os.O_DIRECT
        with suppress(OSError):  # tmpfs and others know no direct writing
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags)
            return wanted
        return False

    def write(self, view: memoryview) -> None:
        if self._direct:
            whole = len(view) - len(view) % _ALIGNMENT
            view = view[self._write_direct(view[:whole]) :]
            if view:  # the end of the file, or a file system that stopped taking direct writes
                self._direct = self._set_direct(False)
        _write_all(self._descriptor, view)

    def _write_direct(self, view: memoryview) -> int:
        written = 0
        try:
            while written < len(view):
                count = os.write(self._descriptor, view[written:])
                written += count
                if count % _ALIGNMENT:
                    break
        except OSError as error:
            if error.errno != errno.EINVAL:  # else an alignment we do not know; the cache takes any
                raise
        return written
