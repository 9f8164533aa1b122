"""Asks what there is to say about archives among the records, in processes that may break."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from packages.package_file import FileFormat
from packages.problems.catalogue import problem
from packages.problems.problem import Problem, problem_from
from pipeline.errors import SubmissionUnreadable
from pipeline.formats.tool import answers_in_batches
from pipeline.formats.worker import Worker, WorkerPool

__all__ = ["ArchiveLook"]

_MODULE = "pipeline.formats.archive_worker"
_BATCH = 50
_TIMEOUT_S = 60.0  # seconds for a batch
_File = tuple[Path, str, FileFormat]


class ArchiveLook:
    """Locked, expanding, named in an unknown encoding? Thread-safe."""

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        self._workers = WorkerPool(lambda: Worker(_MODULE))
        self._timeout_s = timeout_s

    def look(self, files: Sequence[_File]) -> list[list[Problem]]:
        """What is to be said of each file, in the order given: its place, its name for people, its format.

        A file that breaks the process is named with that. Raises SubmissionUnreadable.
        """
        answers = answers_in_batches(files, self._ask, size=_BATCH, give_up=str)
        return [
            [problem("FMT-NOT-CHECKED", name, found=f"not looked into: {found}")]
            if isinstance(found, str)
            else found
            for (_, name, _), found in zip(files, answers, strict=True)
        ]

    def _ask(self, files: Sequence[_File]) -> list[list[Problem] | str]:
        question = [[str(path), name, known.puid or "", known.name] for path, name, known in files]
        answer = self._workers.ask(question, seconds=self._timeout_s)
        if "unreadable" in answer:
            raise SubmissionUnreadable(answer["unreadable"])
        return [[problem_from(one) for one in records] for records in answer["found"]]

    def close(self) -> None:
        """Stop the processes."""
        self._workers.close()
