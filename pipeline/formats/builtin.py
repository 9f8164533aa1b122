"""The checks that need nothing but Stele itself, as one tool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.formats.kinds import Kind
from pipeline.formats.tool import ValidationResult, Validity, in_batches
from pipeline.formats.worker import Worker, WorkerPool

__all__ = ["Builtin"]

_MODULE = "pipeline.formats.builtin_worker"
_BATCH = 50
_TIMEOUT_S = 60.0  # seconds for a batch, and more for its bytes
_MIN_BYTES_PER_S = 4 << 20  # bytes a second


class Builtin:
    """Decode tests and validity of containers, in processes that may crash. Thread-safe."""

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        self._workers = WorkerPool(lambda: Worker(_MODULE))
        self._timeout_s = timeout_s

    def check(self, paths: Sequence[Path], kind: Kind) -> list[ValidationResult]:
        """A verdict for every file, in the order given."""

        def ask(batch: Sequence[Path]) -> list[ValidationResult]:
            seconds = self._timeout_s + sum(path.stat().st_size for path in batch) / _MIN_BYTES_PER_S
            answer = self._workers.ask([[str(path), kind] for path in batch], seconds=seconds)
            return [
                ValidationResult(Validity(v), tool, tuple(said), facts) for v, tool, said, facts in answer
            ]

        return in_batches(paths, ask, size=_BATCH, tool=f"Stele, {kind}")

    def close(self) -> None:
        """Stop the processes."""
        self._workers.close()
