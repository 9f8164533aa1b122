"""Stage 3: what is every file of the submission?"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.context import IngestContext
from pipeline.examine import examine_files
from pipeline.ingest.verify import VerifiedSip
from pipeline.stage_report import StageReport

__all__ = ["ExaminedSip", "examine"]


@dataclass(frozen=True, slots=True)
class ExaminedSip:
    """A verified submission of which every file has a format or an explicit unknown."""

    verified: VerifiedSip
    identifier: str


def examine(verified: VerifiedSip, context: IngestContext) -> tuple[ExaminedSip, StageReport]:
    """Identify every payload file and report what an archivist should know."""
    report = examine_files(verified.received.worklist, context)
    return ExaminedSip(verified, context.identification.identifier.version), report
