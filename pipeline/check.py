"""Judging without storing: submissions, E-ARK packages, single METS files."""

from __future__ import annotations

from pathlib import Path

from pipeline.agreement import Agreement
from pipeline.context import Progress, Result, no_progress
from pipeline.ingest import Archive
from pipeline.ingest import check as check_submission

__all__ = ["check"]


def check(
    subject: Path, agreement: Agreement, archive: Archive, progress: Progress = no_progress
) -> Result:
    """The verdict an ingest would reach, or the E-ARK rules' for what is no bag."""
    return check_submission(subject, agreement, archive, progress)
