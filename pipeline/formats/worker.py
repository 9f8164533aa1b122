"""Programs of our own that answer lines of JSON, each in a process that may crash without harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.confinement import environment
from pipeline.formats.tool import ToolError

__all__ = ["MAX_MEMORY_BYTES", "Worker", "WorkerPool"]

MAX_MEMORY_BYTES = 1 << 30
"""Of an identifying worker. Siegfried takes some 100 MiB, and the directories of archives: 300 bytes an
entry."""


class Worker:
    """One process; started at its first question, started anew after a crash."""

    def __init__(self, module: str, arguments: Sequence[str] = ()) -> None:
        # -P: what lies in the current folder is no part of the program.
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._process: subprocess.Popen[str] | None = None
        self._end: Callable[[], object] = lambda: None
        """Kills the process, also when nobody asks this worker any more."""

    def ask(self, question: object, *, seconds: float) -> Any:
        """The answer to one question. Raises ToolError when the process dies or takes too long."""
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None, "started with pipes"
        late = threading.Event()

        def stop_it() -> None:
            late.set()
            process.kill()

        alarm = threading.Timer(seconds, stop_it)
        alarm.start()
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        finally:
            alarm.cancel()
        if not line.endswith("\n"):
            self.stop()
            raise ToolError(f"no answer within {seconds:.0f} seconds" if late.is_set() else "it crashed")
        return json.loads(line)

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, encoding="utf-8", errors="surrogateescape",
            env=environment(None, **_where_modules_are()),
        )  # fmt: skip
        self._end = weakref.finalize(self, _end, self._process)
        return self._process

    def stop(self) -> None:
        """Kill the process; the next question starts another."""
        self._process = None
        self._end()


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def _where_modules_are() -> dict[str, str]:
    path = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": path} if path else {}


class WorkerPool:
    """One worker for each thread that asks. Thread-safe."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._all: list[Worker] = []
        self._mine = threading.local()

    def ask(self, question: object, *, seconds: float) -> Any:
        """As Worker.ask, by this thread's own process."""
        worker: Worker | None = getattr(self._mine, "worker", None)
        if worker is None:
            worker = self._mine.worker = self._make()
            self._all.append(worker)
        return worker.ask(question, seconds=seconds)

    def close(self) -> None:
        """Stop all processes."""
        for worker in self._all:
            worker.stop()
