"""An ingest that is followed by the preservation copies which the format policy asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.context import Progress, Result, no_progress
from pipeline.errors import PipelineError
from pipeline.ingest.run import ingest
from pipeline.preservation.normalise import normalise
from storage.errors import StorageError
from storage.states import Outcome

__all__ = ["ingest_and_normalise"]


def ingest_and_normalise(
    subject: Path,
    agreement: Agreement,
    archive: Archive,
    progress: Progress = no_progress,
    *,
    shown: str = "",
) -> Result:
    """An ingest, and for what was stored the copies the policy asks for, as the next version.

    Custody never waits for copies: where they cannot be made the result says so and stays stored.
    """
    result = ingest(subject, agreement, archive, progress, shown=shown)
    if result.outcome is not Outcome.STORED or result.aip is None:
        return result
    try:
        (done,) = normalise(archive, [result.aip], person="format policy", reason="after the ingest")
    except (PipelineError, StorageError, OSError) as error:
        return replace(result, reason=f"stored, but without preservation copies: {error}")
    if done.skipped:
        return replace(result, reason=f"stored, but without preservation copies: {done.skipped}")
    said = f"{len(done.made)} preservation copies made" if done.made else ""
    lost = f"{len(done.failed)} could not be made: {'; '.join(done.failed[:5])}" if done.failed else ""
    reason = "; ".join(part for part in (result.reason, said, lost) if part)
    return replace(result, version=done.version or result.version, reason=reason)
