"""Judging without storing: submissions, E-ARK packages, single METS files."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from packages.eark.layout import Form
from packages.paths import printable
from packages.problems.problem import by_severity
from pipeline.agreement import Agreement
from pipeline.archive import Archive, run_context
from pipeline.context import Progress, Result, no_progress
from pipeline.ingest.run import check as check_submission
from pipeline.ingest.run import failed
from pipeline.ingest.sandbox import judge_document_apart, judge_no_bag_apart
from storage.states import Outcome

__all__ = ["check"]

_NO_BAG = {"BAG-NOT-A-BAG", "ARC-EMPTY"}
_NOT_LISTED = {"ARC-BUDGET", "ARC-BOMB", "ARC-CORRUPT", "ARC-ENCRYPTED", "ARC-UNSUPPORTED"}


def check(
    subject: Path, agreement: Agreement, archive: Archive, progress: Progress = no_progress
) -> Result:
    """The verdict an ingest would reach, or the E-ARK rules' for what is no bag."""
    if subject.is_file() and subject.suffix.lower() == ".xml":
        return _check_by_eark_rules(subject, agreement, archive, progress)
    # As a bag first: what cannot be listed within its budget then is listed nowhere else.
    result = check_submission(subject, agreement, archive, progress)
    if not _may_be_a_package(result):
        return result
    return _check_by_eark_rules(subject, agreement, archive, progress, as_bag=result)


def _may_be_a_package(result: Result) -> bool:
    """Whether it was listed whole, and is no bag."""
    codes = {found.code for found in result.problems}
    return result.outcome is Outcome.REJECTED and bool(codes & _NO_BAG) and not codes & _NOT_LISTED


def _check_by_eark_rules(
    subject: Path, agreement: Agreement, archive: Archive, progress: Progress, as_bag: Result | None = None
) -> Result:
    """``as_bag`` is the verdict on what is no bag; it stands where the subject is no package either."""
    began = time.perf_counter()
    try:
        with run_context(subject, agreement, archive, progress) as context:
            judged, report = (judge_no_bag_apart if as_bag else judge_document_apart)(context)
            found = report.findings.all()
            if as_bag is not None and judged.form is not Form.PACKAGE:
                return replace(as_bag, problems=by_severity([*as_bag.problems, *found]))
            seconds = time.perf_counter() - began
            return Result(
                subject=printable(str(subject)),
                outcome=Outcome.REJECTED if report.rejected else Outcome.ACCEPTABLE,
                aip=None,
                version=None,
                files=judged.files,
                bytes=judged.bytes,
                problems=found,
                stages={"verify": seconds},
                seconds=seconds,
                agreement=agreement.name,
                finished=context.clock(),
            )
    except Exception as error:  # a surprise in one subject must not cost the others their verdict
        return failed(printable(str(subject)), agreement, archive, error)
