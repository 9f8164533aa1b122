"""The two first stages one after the other, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.context import IngestContext
from pipeline.ingest.receive import receive
from pipeline.ingest.verify import VerifiedSip, verify
from pipeline.stage_report import StageReport

__all__ = ["Judge", "Judged", "judge_here"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of a package then. ``verified`` is None where nothing of it could be taken in."""

    verified: VerifiedSip | None
    report: StageReport
    seconds: Mapping[str, float]
    """By stage."""


Judge = Callable[[IngestContext], Judged]
"""Takes a package in and judges it.

Raises SubmissionUnreadable, WorkAreaUnusable, ToolFailed.
"""


def judge_here(context: IngestContext) -> Judged:
    """See ``Judge``."""
    began = time.perf_counter()
    received, report = receive(context)
    seconds = {"receive": time.perf_counter() - began}
    if received is None:
        return Judged(None, report, seconds)
    began = time.perf_counter()
    verified, found = verify(received, context)
    report.append(found)
    return Judged(verified, report, {**seconds, "verify": time.perf_counter() - began})
