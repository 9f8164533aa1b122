"""Identification that runs beside receiving: Siegfried is the longest stage and needs no Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from packages.package_file import FileFormat
from pipeline.examine.identification import Identifier


class IdentificationAhead:
    """Takes the names of files as they arrive in custody, gives their formats in the same order.

    What it finds about a submission that is rejected later is simply not asked for.
    """

    def __init__(self, identifier: Identifier) -> None:
        self.identifier = identifier
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="identify")
        self._answers: list[Future[list[FileFormat]]] = []

    def take(self, names: Sequence[str]) -> None:
        """Queue a batch; returns at once."""
        self._answers.append(self._pool.submit(self.identifier.identify, list(names)))

    def formats(self) -> Iterator[FileFormat]:
        """One format a file. Raises ToolFailed as ``Identifier.identify`` does."""
        for answer in self._answers:
            yield from answer.result()

    def close(self) -> None:
        """Drop what is still queued; waits for the batch in hand."""
        self._pool.shutdown(wait=True, cancel_futures=True)
