"""What reading and judging one package may cost. Over it the package is refused, and the run goes on."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from pipeline.agreement import Limits

__all__ = ["MEMORY_MARGIN_BYTES", "Budget", "budget_of"]

_CPU_S_PER_FILE = 0.05
_CPU_S_PER_BYTE = 1 / (4 << 20)
_MIN_BYTES_PER_ENTRY = 30  # of an archive: less than any header, packed as well as it may be
_MAX_SILENCE_S = 7200.0
MEMORY_MARGIN_BYTES = 64 << 20
"""Above a budget's memory, before the system refuses more. Libraries that get none say all kinds of things,
and blame the package."""


@dataclass(frozen=True, slots=True)
class Budget:
    """CPU seconds grow with what has come of the package so far, up to what can come of it."""

    cpu_s: float
    """To begin with; listing a million entries takes some forty."""
    most_files: int
    """So many files count, each for 0.05 s. An archive of a few kilobytes has no million."""
    most_bytes: int
    """So many bytes count, 4 MiB for a second."""
    memory_bytes: int
    """Of data, without the program itself. Whoever started the process ends it then."""
    file_bytes: int
    """Of the largest file written."""
    silence_s: float = _MAX_SILENCE_S
    """Without any sign of progress: a store or a network file system stands still."""

    def cpu_after(self, files: int, size: int) -> float:
        """CPU seconds allowed when so much of the package has come."""
        counted = min(files, self.most_files) * _CPU_S_PER_FILE
        return self.cpu_s + counted + min(size, self.most_bytes) * _CPU_S_PER_BYTE


def budget_of(subject: Path, limits: Limits) -> Budget:
    """The budget of a submission. A subject that is not there has one too: opening it says so."""
    most_files, most_bytes = limits.max_files, limits.max_bytes
    try:
        found = subject.stat()
    except OSError:
        found = None
    if found is not None and stat.S_ISREG(found.st_mode):
        most_files = min(most_files, found.st_size // _MIN_BYTES_PER_ENTRY)
        most_bytes = min(most_bytes, int(found.st_size * limits.max_ratio))
    return Budget(
        cpu_s=limits.max_cpu_seconds,
        most_files=most_files,
        most_bytes=most_bytes,
        memory_bytes=limits.max_memory,
        file_bytes=limits.max_bytes + (1 << 30),
    )
