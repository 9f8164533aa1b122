"""A package judged in another process, which its budget ends. The next package gets another one."""

from __future__ import annotations

import atexit
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from packages.digest import DigestAlgorithm
from packages.eark.layout import Form
from packages.escaping import for_log, for_page
from packages.premis import EventOutcome, EventType
from packages.problems.catalogue import problem
from packages.problems.problem import problem_from
from packages.worklist import Worklist
from pipeline import errors
from pipeline.context import IngestContext
from pipeline.errors import PipelineError, SubmissionUnreadable
from pipeline.ingest.receive import ReceivedSip
from pipeline.ingest.sandbox.budget import Budget, budget_of
from pipeline.ingest.sandbox.direct import Judged
from pipeline.ingest.sandbox.messages import OUT_OF_MEMORY, line, read_line, submission_from
from pipeline.ingest.verify import VerifiedSip
from pipeline.ingest.verify.eark_package import NoBag
from pipeline.stage_report import StageReport

__all__ = ["JudgingBroke", "judge_apart", "judge_document_apart", "judge_no_bag_apart"]

_LOG = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MAX_PACKAGES = 500  # by one process; whatever it has gathered by then goes with it
_KEPT = ("LANG", "LC_ALL", "PATH", "PYTHONPATH", "TMPDIR", "TZ")
"""What the process gets of the environment: no keys of stores, no passwords."""


class JudgingBroke(PipelineError):
    """The judging process ended or failed in a way that is no package's fault."""


class _OverBudget(Exception):
    """What of the budget was used up, and how much that was."""

    def __init__(self, limit: str, spent: str) -> None:
        super().__init__(f"{spent} ({limit})")
        self.limit, self.spent = limit, spent


def judge_apart(context: IngestContext) -> Judged:
    """See ``Judge``. Also raises JudgingBroke.

    A package that costs more than its budget is rejected with what it cost.
    """
    report = context.report("judge")
    began = time.perf_counter()
    end = _ask("submission", context, report)
    if end is None:
        return Judged(None, report, {"receive": time.perf_counter() - began})
    if "submission" not in end:
        return Judged(None, report, end["seconds"])
    form, folder, algorithms = end["received"]
    worklist = Worklist.reopen(context.work, [DigestAlgorithm(one) for one in algorithms])
    received = ReceivedSip(form, folder, worklist)
    return Judged(VerifiedSip(received, submission_from(end["submission"])), report, end["seconds"])


def judge_no_bag_apart(context: IngestContext) -> tuple[NoBag, StageReport]:
    """See ``judge_no_bag``. Also raises JudgingBroke. Over its budget it is rejected with what it cost."""
    return _judge_no_bag("no bag", context)


def judge_document_apart(context: IngestContext) -> tuple[NoBag, StageReport]:
    """See ``judge_document``. As ``judge_no_bag_apart``."""
    return _judge_no_bag("document", context)


def _judge_no_bag(task: str, context: IngestContext) -> tuple[NoBag, StageReport]:
    report = context.report("check")
    end = _ask(task, context, report)
    if end is None:
        return NoBag(Form.PACKAGE), report
    form, files, size = end["no bag"]
    return NoBag(Form(form), files, size), report


def _ask(task: str, context: IngestContext, report: StageReport) -> dict[str, Any] | None:
    """The process's last message; None, and a finding, when the package has used up its budget."""
    budget = budget_of(context.subject, context.agreement.limits)
    worker = _POOL.take()
    try:
        end = worker.judge(task, context, report, budget)
    except _OverBudget as over:
        worker.stop()
        report.add(problem("ARC-BUDGET", context.subject_name, expected=over.limit, found=over.spent))
        return None
    except BaseException:
        worker.stop()
        raise
    _POOL.give_back(worker)
    report.findings.count_as(end["counts"])
    return end


class _Worker:
    """One judging process."""

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.ingest.sandbox.worker"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        self.judged = 0

    @property
    def usable(self) -> bool:
        """Whether it can take another package."""
        return self._process.poll() is None and self.judged < _MAX_PACKAGES

    def judge(
        self, task: str, context: IngestContext, report: StageReport, budget: Budget
    ) -> dict[str, Any]:
        """Its last message about a package. Raises _OverBudget, JudgingBroke, and what it raised."""
        self.judged += 1
        job = {
            "task": task, "subject": str(context.subject.absolute()), "work": str(context.work),
            "shown": context.shown,
            "agreement": context.agreement.model_dump_json(by_alias=True),
            "profile": context.agreement.profile, "budget": asdict(budget),
        }  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None, "started with pipes"
        try:
            self._process.stdin.write(line(job))
            self._process.stdin.flush()
        except OSError:
            raise self._ended(budget) from None
        return self._listen(context, report, budget)

    def _listen(self, context: IngestContext, report: StageReport, budget: Budget) -> dict[str, Any]:
        for message in self._messages(budget):
            match message:
                case {"progress": [stage, size, files]}:
                    context.progress(stage, size, files)
                case {"problem": record}:
                    report.add(problem_from(record))
                case {"event": [kind, detail, note, outcome]}:
                    report.event(EventType[kind], detail, note=note, outcome=EventOutcome[outcome])
                case {"offer": names}:
                    for name in names:
                        context.identification.offer(name)
                    context.identification.send()
                case {"end": end}:
                    return dict(end)
                case {"over": what, "cpu": seconds}:
                    raise _OverBudget(
                        _memory(budget), f"more {what} than that, after {seconds:.0f} CPU seconds"
                    )
                case {"error": [name, text]}:
                    raise _error(name, text)
                case {"unexpected": [said, story]}:
                    _LOG.error(
                        "unexpected error while %s was judged\n%s", for_log(context.shown), for_page(story)
                    )
                    raise JudgingBroke(f"{said}; please report this")
        raise self._ended(budget)

    def _messages(self, budget: Budget) -> Iterator[dict[str, Any]]:
        """Its messages until it ends.

        Raises SubmissionUnreadable when none comes for too long, _OverBudget when it holds too much.
        """
        out = self._process.stdout
        assert out is not None, "started with pipes"
        descriptor, rest = out.fileno(), b""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            heard_s = looked_s = time.monotonic()
            while True:
                ready = selector.select(min(_LOOK_EVERY_S, budget.silence_s))
                now_s = time.monotonic()
                if now_s - looked_s >= _LOOK_EVERY_S:
                    looked_s = now_s
                    if _data_bytes(self._process.pid) > budget.memory_bytes:
                        raise _OverBudget(_memory(budget), "more memory than that")
                if not ready:
                    if now_s - heard_s >= budget.silence_s:
                        waited = f"{budget.silence_s / 60:.0f} minutes"
                        raise SubmissionUnreadable(f"nothing more of the submission was read for {waited}")
                    continue
                heard_s = now_s
                data = os.read(descriptor, 1 << 16)
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                yield from map(read_line, lines)

    def _ended(self, budget: Budget) -> Exception:
        """Why the process is gone."""
        code = self._process.wait(10)
        if code == -signal.SIGXCPU:
            return _OverBudget(
                f"{budget.cpu_s:.0f} CPU seconds, and more for each file and megabyte", "more CPU time"
            )
        if code == OUT_OF_MEMORY:
            return _OverBudget(_memory(budget), "more memory than that")
        if code == -signal.SIGKILL:
            return JudgingBroke(
                "the judging process was killed; is there too little memory on this machine?"
            )
        return JudgingBroke(f"the judging process ended (exit {code}); please report this")

    def stop(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.communicate()


def _memory(budget: Budget) -> str:
    return f"{budget.memory_bytes >> 20} MiB of memory"


def _data_bytes(pid: int) -> int:
    """What counts for RLIMIT_DATA; 0 where the system does not say (``proc_pid_statm(5)``, Linux)."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[5]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _error(name: str, text: str) -> PipelineError:
    """One of this layer's errors, by its name."""
    kind = getattr(errors, name, PipelineError)
    return kind(text) if issubclass(kind, PipelineError) else PipelineError(text)


class _Pool:
    """Processes that wait for a package. Thread-safe, and empty in a forked child."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.close)

    def take(self) -> _Worker:
        """One that nobody else has."""
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.usable:
                    return worker
                worker.stop()
        return _Worker()

    def give_back(self, worker: _Worker) -> None:
        """It may judge another package."""
        if not worker.usable:
            worker.stop()
            return
        with self._lock:
            self._idle.append(worker)

    def close(self) -> None:
        """End those that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.stop()

    def _forget(self) -> None:
        """The processes are those of the one that forked."""
        self._lock = threading.Lock()
        self._idle = []


_POOL = _Pool()
