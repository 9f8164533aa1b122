"""How far a run is: counts stage by stage, told now and then to whoever watches."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from packages.package_file import timestamp
from pipeline.context import Clock, Progress
from storage.catalogue import Catalogue, ProgressRow
from storage.errors import StorageError

__all__ = ["Meter", "Snapshot", "recorded"]

_FIRST, _EVERY = 2.0, 2.0
"""Seconds: what ends sooner is not worth a row; what lasts is told so often."""
_MEASURED = "receive"
"""The stage whose counts tell how much the later ones have before them."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment of a run. Totals are 0 and ``seconds_left`` is -1 while they are unknown."""

    stage: str
    files: int
    bytes: int
    total_files: int
    total_bytes: int
    rate: float
    """Bytes a second in this stage."""
    seconds_left: int


class Meter:
    """Counts as a ``Progress``, and tells ``sink`` at most every ``every`` seconds."""

    def __init__(
        self, sink: Callable[[Snapshot], None], *, first: float = _FIRST, every: float = _EVERY
    ) -> None:
        self._sink = sink
        self._every = every
        self._next = time.monotonic() + first
        self._stage, self._began = "", time.monotonic()
        self._files = self._bytes = self._total_files = self._total_bytes = 0

    def __call__(self, stage: str, size: int, files: int) -> None:
        """So much more is done."""
        now = time.monotonic()
        if stage != self._stage:
            if self._stage == _MEASURED:
                self._total_files, self._total_bytes = self._files, self._bytes
            self._stage, self._began, self._files, self._bytes = stage, now, 0, 0
        self._files += files
        self._bytes += size
        if now >= self._next:
            self._next = now + self._every
            self._sink(self._snapshot(now))

    def _snapshot(self, now: float) -> Snapshot:
        rate = self._bytes / max(now - self._began, 0.001)
        left = -1
        if self._total_bytes and rate:
            left = int(max(self._total_bytes - self._bytes, 0) / rate)
        return Snapshot(
            self._stage, self._files, self._bytes, self._total_files, self._total_bytes, rate, left
        )


@contextmanager
def recorded(watcher: Progress, catalogue: Catalogue, subject: str, clock: Clock) -> Iterator[Progress]:
    """A progress that is also kept in the catalogue while the run lasts, for the dashboard."""
    number, started, written = str(uuid.uuid4()), timestamp(clock()), False

    def write(now: Snapshot) -> None:
        nonlocal written
        with suppress(StorageError):  # an ingest does not fail because nobody can watch it
            row = ProgressRow(
                number, subject, now.stage, now.files, now.bytes, now.total_files, now.total_bytes,
                now.seconds_left, catalogue.database.owner(), started, timestamp(clock()),
            )  # fmt: skip
            catalogue.progress.put(row)
            written = True

    meter = Meter(write)

    def progress(stage: str, size: int, files: int) -> None:
        watcher(stage, size, files)
        meter(stage, size, files)

    try:
        yield progress
    finally:
        if written:
            with suppress(StorageError):  # the trace of a dead process is removed by whoever reads it
                catalogue.progress.end(number)
