"""Format identification with Siegfried: worker processes, kept for as long as the program runs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from packages.package_file import UNKNOWN_FORMAT, FileFormat
from pipeline.errors import ToolFailed

__all__ = ["Identification", "Identifier"]

_WORKER = Path(__file__).with_name("siegfried_worker.py")
_BATCH = 500
_PATIENCE = 300.0  # seconds for one batch; a 1 GiB file takes a hundredth of one


class _WorkerDied(Exception):
    """The process crashed or had to be stopped; the batch has no answer."""


class _Worker:
    """One Siegfried process; started at its first question, started anew after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, names: Sequence[str]) -> dict[str, Any]:
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None, "started with pipes"
        alarm = threading.Timer(_PATIENCE, process.kill)
        alarm.start()
        try:
            process.stdin.write(json.dumps(list(names)) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        finally:
            alarm.cancel()
        if not line.endswith("\n"):
            self.stop()
            raise _WorkerDied
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, encoding="utf-8", errors="surrogateescape",
        )  # fmt: skip
        return self._process

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


class Identifier:
    """Siegfried with its built-in signatures, in ``workers`` processes. Thread-safe."""

    def __init__(self, workers: int = 2) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="identify")
        self._workers: list[_Worker] = []
        self._mine = threading.local()
        self.version = ""
        self.signatures = ""

    def submit(self, names: Sequence[str]) -> Future[list[FileFormat]]:
        """Ask for the formats of files, in the order given. Names must be valid UTF-8.

        The future raises ToolFailed when Siegfried cannot work at all. A file that crashes it is
        UNKNOWN with a warning that says so.
        """
        return self._pool.submit(self._identify, names)

    def identify(self, names: Sequence[str]) -> Iterator[FileFormat]:
        """The formats of files, in the order given. Raises ToolFailed."""
        waiting = [self.submit(names[at : at + _BATCH]) for at in range(0, len(names), _BATCH)]
        for future in waiting:
            yield from future.result()

    def close(self) -> None:
        """Stop the processes; the identifier cannot be used any more."""
        self._pool.shutdown()
        for worker in self._workers:
            worker.stop()

    def _identify(self, names: Sequence[str]) -> list[FileFormat]:
        worker: _Worker | None = getattr(self._mine, "worker", None)
        if worker is None:
            worker = self._mine.worker = _Worker()
            self._workers.append(worker)
        try:
            answer = worker.ask(names)
        except _WorkerDied:
            if len(names) == 1:
                self._confirm_alive(worker)
                return [_CRASHED]
            half = len(names) // 2
            return self._identify(names[:half]) + self._identify(names[half:])
        if "failure" in answer:
            raise ToolFailed(f"Siegfried failed on {len(names)} files: {answer['failure']}")
        if len(answer["files"]) != len(names):
            raise ToolFailed(f"Siegfried answered for {len(answer['files'])} of {len(names)} files")
        self.version, self.signatures = answer["version"], answer["signatures"]
        formats = [_format(*facts) for facts in answer["formats"]]
        return [formats[number] for number in answer["files"]]

    @staticmethod
    def _confirm_alive(worker: _Worker) -> None:
        """Tell a file that crashes Siegfried from a Siegfried that cannot run here."""
        try:
            worker.ask([str(_WORKER)])
        except _WorkerDied:
            raise ToolFailed(
                "Siegfried (pygfried) cannot be started; run “stele doctor” or install Stele again"
            ) from None


_CRASHED = FileFormat(None, "unknown", "", "", "", "the identification tool crashed on this file")


@lru_cache(maxsize=4096)
def _format(
    puid: str, name: str, version: str, mime: str, basis: str, warning: str, errors: str
) -> FileFormat:
    warning = "; ".join(part for part in (warning, errors) if part)
    if not puid:
        return UNKNOWN_FORMAT
    if "empty source" in errors:  # its extension alone says nothing about no bytes
        return FileFormat(None, "unknown", "", "", "", "the file is empty")
    if puid.upper() == "UNKNOWN":
        return FileFormat(None, "unknown", "", "", basis, warning or "no match")
    return FileFormat(puid, name or puid, version, mime.split(",")[0].strip(), basis, warning)


class Identification:
    """The formats of one package's files: asked for while they arrive, answered in that order."""

    def __init__(self, identifier: Identifier, content: Path) -> None:
        self.identifier = identifier
        self._content = content
        self._gathered: list[str] = []
        self._waiting: list[Future[list[FileFormat]]] = []

    def offer(self, work: str) -> None:
        """A payload file has arrived under this name in the work area."""
        self._gathered.append(f"{self._content}/{work}")
        if len(self._gathered) >= _BATCH:
            self.send()

    def send(self) -> None:
        """Ask about what was offered since; nothing more will come for a while."""
        if self._gathered:
            self._waiting.append(self.identifier.submit(self._gathered))
            self._gathered = []

    def formats(self) -> Iterator[FileFormat]:
        """One answer for every file offered. Raises ToolFailed."""
        self.send()
        waiting, self._waiting = self._waiting, []
        for number, future in enumerate(waiting):
            yield from future.result()
            waiting[number] = _DONE  # a million answers need not stay

    def cancel(self) -> None:
        """Nobody will ask for the answers: the submission was refused or its ingest failed."""
        for future in self._waiting:
            future.cancel()


_DONE: Future[list[FileFormat]] = Future()
