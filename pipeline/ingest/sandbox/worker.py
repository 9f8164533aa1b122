"""The sandboxed process: ``python -P -m pipeline.ingest.sandbox.worker`` (one package at a time).

It has no secret in its environment and sends everything it finds as it finds it, so that little is lost
when a package ends it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from packages.premis import Agent, Event, EventOutcome, EventType
from packages.problems.problem import Problem
from pipeline.agreement import Agreement
from pipeline.context import IngestContext, Software, utc_now
from pipeline.errors import PipelineError
from pipeline.findings import Findings
from pipeline.formats.identification import Identification
from pipeline.ingest.sandbox.budget import MEMORY_MARGIN_BYTES, Budget
from pipeline.ingest.sandbox.direct import judge_here
from pipeline.ingest.sandbox.messages import OUT_OF_MEMORY, line, read_line, submission_to
from pipeline.ingest.verify.eark_package import NoBag, judge_document, judge_no_bag
from pipeline.stage_report import StageReport
from pipeline.tools import Toolbox

_REPORT_EVERY_S = 0.2
_OPEN_FILES = 256
_OFFERS = 500
_NOBODY = Software("stele", "")  # the other process knows who it is


class _Reporter:
    """Writes messages; progress only every 0.2 s, and with it raises the CPU time that is allowed."""

    def __init__(self, out: BinaryIO, budget: Budget) -> None:
        self._out = out
        self._budget = budget
        self._cpu_before = _cpu_s()
        self._waiting: dict[str, list[int]] = {}
        self._files = self._bytes = 0
        self._reported_at_s = time.monotonic()
        self._allow()

    def send(self, **message: Any) -> None:
        """Send a message, after the progress made so far."""
        self._flush()
        self._out.write(line(message))
        self._out.flush()

    @property
    def cpu_s(self) -> float:
        """CPU seconds since the package came."""
        return _cpu_s() - self._cpu_before

    def progress(self, stage: str, size: int, files: int) -> None:
        """A ``Progress``."""
        done = self._waiting.setdefault(stage, [0, 0])
        done[0] += size
        done[1] += files
        self._bytes += size
        self._files += files
        now = time.monotonic()
        if now - self._reported_at_s >= _REPORT_EVERY_S:
            self._reported_at_s = now
            self._flush()
            self._out.flush()
            self._allow()

    def _flush(self) -> None:
        for stage, (size, files) in self._waiting.items():
            self._out.write(line({"progress": [stage, size, files]}))
        self._waiting.clear()

    def _allow(self) -> None:
        """The system ends the process when its CPU time is over, whatever it is doing then."""
        seconds = self._cpu_before + self._budget.cpu_after(self._files, self._bytes)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, resource.RLIM_INFINITY))


class _ReportedFindings(Findings):
    """Findings that are sent as soon as they are kept."""

    def __init__(self, reporter: _Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def add(self, problem: Problem) -> None:
        kept = len(self._kept)
        super().add(problem)
        if len(self._kept) > kept:
            self._reporter.send(problem=problem.as_json())


class _ReportedIdentification(Identification):
    """What has arrived is named to the other process, which has it identified meanwhile."""

    def __init__(self, reporter: _Reporter) -> None:
        self._reporter = reporter
        self._names: list[str] = []

    def offer(self, work: str) -> None:
        self._names.append(work)
        if len(self._names) >= _OFFERS:
            self.send()

    def send(self) -> None:
        self._reporter.send(offer=self._names)
        self._names = []

    def cancel(self) -> None:
        self._names = []


class _SentReport(StageReport):
    """A report whose problems and events are also sent: they happen in the other process, by its clock."""

    def __init__(self, reporter: _Reporter, namespace: uuid.UUID) -> None:
        super().__init__(utc_now, _NOBODY.agent, namespace, _ReportedFindings(reporter))
        self._reporter = reporter

    def event(
        self, kind: EventType, detail: str, *, note: str = "", outcome: EventOutcome = EventOutcome.SUCCESS,
        objects: tuple[str, ...] = (), agent: Agent | None = None, people: tuple[str, ...] = (),
    ) -> Event:  # fmt: skip
        assert not objects and agent is None and not people, "the first stages speak for the whole package"
        self._reporter.send(event=[kind.name, detail, note, outcome.name])
        return super().event(kind, detail, note=note, outcome=outcome)


@dataclass(frozen=True, slots=True)
class _ReportingContext(IngestContext):
    reporter: _Reporter | None = None

    def report(self, stage: str) -> StageReport:
        assert self.reporter is not None
        return _SentReport(self.reporter, uuid.uuid4())


def _context(job: dict[str, Any], reporter: _Reporter) -> IngestContext:
    agreement = Agreement.model_validate_json(job["agreement"])
    return _ReportingContext(
        subject=Path(job["subject"]), agreement=agreement.model_copy(update={"profile": job["profile"]}),
        work=Path(job["work"]), software=_NOBODY, identification=_ReportedIdentification(reporter),
        tools=Toolbox.__new__(Toolbox),  # no tool is asked in these stages
        progress=reporter.progress, shown=job["shown"], reporter=reporter,
    )  # fmt: skip


def _judge_submission(context: IngestContext) -> dict[str, Any]:
    judged = judge_here(context)
    end: dict[str, Any] = {"seconds": dict(judged.seconds), "counts": judged.report.findings.counts()}
    if judged.verified is not None:
        received = judged.verified.received
        received.worklist.close()
        end["received"] = [
            received.form, received.folder, [one.value for one in received.worklist.algorithms]
        ]  # fmt: skip
        end["submission"] = submission_to(judged.verified.submission)
    return end


def _judge_no_bag(
    judge: Callable[[IngestContext, StageReport], NoBag], context: IngestContext
) -> dict[str, Any]:
    report = context.report("check")
    judged = judge(context, report)
    return {"no bag": [judged.form, judged.files, judged.bytes], "counts": report.findings.counts()}


_TASKS: dict[str, Callable[[IngestContext], dict[str, Any]]] = {
    "submission": _judge_submission,
    "no bag": partial(_judge_no_bag, judge_no_bag),
    "document": partial(_judge_no_bag, judge_document),
}


def _answer(job: dict[str, Any], reporter: _Reporter) -> bool:
    """Judge one package; whether this process may judge another."""
    try:
        reporter.send(end=_TASKS[job["task"]](_context(job, reporter)))
    except PipelineError as error:
        reporter.send(error=[type(error).__name__, str(error)])
    except MemoryError:
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        reporter.send(over="memory", cpu=reporter.cpu_s)
        return False
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = f"unexpected {type(error).__name__} in {Path(where.filename).name}:{where.lineno}: {error}"
        reporter.send(unexpected=[said, traceback.format_exc()[-8000:]])
        return False
    return True


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _end_with_parent() -> None:
    """Wait until the other end of standard input is closed, whatever the other thread is busy with."""
    poll = select.poll()
    poll.register(0, 0)  # hang-up is told without being asked for
    poll.poll()
    os._exit(1)


def _main() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    source, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # some libraries talk
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    while data := source.readline():
        job = read_line(data)
        budget = Budget(**job["budget"])
        most = budget.memory_bytes + MEMORY_MARGIN_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (budget.file_bytes, resource.RLIM_INFINITY))
        if not _answer(job, _Reporter(out, budget)):
            return


if __name__ == "__main__":
    try:
        _main()
    except (BrokenPipeError, json.JSONDecodeError):  # whoever asked is gone
        os._exit(1)
    except (MemoryError, SystemError):  # where memory ends, so do the interpreter's own certainties
        os._exit(OUT_OF_MEMORY)
