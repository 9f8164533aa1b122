"""Judging without storing: submissions, E-ARK packages, single METS files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from packages.eark.dialect import report_dialect
from packages.eark.layout import Form, form_of, look_at
from packages.eark.structure import check_top
from packages.mets.csip_reader import read_mets
from packages.mets.rules.rule import PackageContext
from packages.paths import printable
from packages.problems.problem import Problem, by_severity
from pipeline.agreement import Agreement, Limits
from pipeline.archive import Archive, run_context
from pipeline.checking.eark import judge_package
from pipeline.context import IngestContext, Progress, Result, no_progress, utc_now
from pipeline.ingest.run import check as check_submission
from pipeline.ingest.run import failed
from pipeline.stage_report import StageReport
from storage.states import Outcome

__all__ = ["check", "check_mets_file"]

_NO_BAG = {"BAG-NOT-A-BAG", "ARC-EMPTY"}
_NOT_LISTED = {"ARC-BUDGET", "ARC-BOMB", "ARC-CORRUPT", "ARC-ENCRYPTED", "ARC-UNSUPPORTED"}

_Judge = Callable[[IngestContext, StageReport], tuple[int, int]]
"""Reports what there is to report; the number of files and bytes judged."""


def check(
    subject: Path, agreement: Agreement, archive: Archive, progress: Progress = no_progress
) -> Result:
    """The verdict an ingest would reach, or the E-ARK rules' for what is no bag."""
    if subject.is_file() and subject.suffix.lower() == ".xml":
        return _judged(subject, agreement, archive, progress, _judge_mets)
    # As a bag first, apart and within its budget: what cannot be listed there is listed nowhere else.
    result = check_submission(subject, agreement, archive, progress)
    if not _may_be_a_package(result):
        return result
    try:
        layout = look_at(subject, Limits())
    except Exception as error:  # a surprise in one subject must not cost the others their verdict
        return failed(printable(str(subject)), agreement, archive, error)
    form = form_of(layout) if layout else Form.BAG
    if layout is not None and form is Form.PACKAGE:
        return _judged(
            subject,
            agreement,
            archive,
            progress,
            lambda context, report: judge_package(context, report, layout),
        )
    if layout is not None and form is Form.NEITHER:
        reasons = [*result.problems, *check_top(layout, subject.name)]
        return replace(result, problems=by_severity(reasons))
    return result


def _may_be_a_package(result: Result) -> bool:
    """Whether it was listed whole, and is no bag."""
    codes = {found.code for found in result.problems}
    return result.outcome is Outcome.REJECTED and bool(codes & _NO_BAG) and not codes & _NOT_LISTED


def check_mets_file(path: Path) -> list[Problem]:
    """A METS document alone: schema, CSIP rules, references inside it. Nothing is fetched."""
    with path.open("rb") as stream:
        package = PackageContext(today=int(f"{utc_now():%Y%m%d}"))
        document = read_mets(stream, path.name, package=package)
        if document.dialect:
            document.problems.append(report_dialect(document, stream, path.name))
    return document.problems


def _judge_mets(context: IngestContext, report: StageReport) -> tuple[int, int]:
    report.add(*check_mets_file(context.subject))
    return 1, context.subject.stat().st_size


def _judged(
    subject: Path, agreement: Agreement, archive: Archive, progress: Progress, judge: _Judge
) -> Result:
    began = time.perf_counter()
    try:
        with run_context(subject, agreement, archive, progress) as context:
            report = context.report("check")
            files, size = judge(context, report)
            seconds = time.perf_counter() - began
            return Result(
                subject=printable(str(subject)),
                outcome=Outcome.REJECTED if report.rejected else Outcome.ACCEPTABLE,
                aip=None,
                version=None,
                files=files,
                bytes=size,
                problems=report.findings.all(),
                stages={"verify": seconds},
                seconds=seconds,
                agreement=agreement.name,
                finished=context.clock(),
            )
    except Exception as error:
        return failed(printable(str(subject)), agreement, archive, error)
