"""Stage 6: the catalogue learns what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from packages.package_file import timestamp
from packages.worklist import Worklist
from pipeline.context import IngestContext
from pipeline.holdings.stored_record import StoredRecord, listed, read_stored_record
from pipeline.ingest.store import StoredAip
from pipeline.stage_report import StageReport
from storage.catalogue import AipRow, Catalogue, EventRow, FormatCount

__all__ = ["register"]


def register(
    stored: StoredAip, history: StageReport, catalogue: Catalogue, context: IngestContext
) -> AipRow:
    """Write the AIP, its copies, formats and events in one transaction. Twice is harmless.

    What an earlier, killed run has stored is registered as that run described it.
    """
    urn = stored.planned.package_id.urn
    if stored.found_in:
        record = read_stored_record([stored.found_in], urn, context.work)
    else:
        record = _of_this_run(stored, history, context)
    catalogue.aips.register(
        record.aip,
        copies=stored.copies,
        formats=record.formats,
        events=record.events,
        files=record.files(),
        message=f"Ingest of {context.subject_name}",
    )
    return record.aip


def _of_this_run(stored: StoredAip, history: StageReport, context: IngestContext) -> StoredRecord:
    submission = stored.planned.submission
    row = AipRow(
        id=submission.package_id.urn,
        version=stored.version,
        title=submission.title,
        agreement=context.agreement.name,
        agency=context.agreement.agency.name,
        external_identifier=submission.external_identifier,
        content_digest=submission.content_digest,
        files=submission.files,
        bytes=submission.bytes,
        created=stored.created,
        inventory_sha512=stored.inventory_sha512,
        retain_until=_day(context.agreement.retention.until),
    )
    return StoredRecord(
        row,
        tuple(_format_counts(stored.planned.worklist)),
        tuple(
            EventRow(e.id, e.type.label, timestamp(e.time), e.outcome.label, e.detail, e.note)
            for e in history.events
        ),
        lambda: listed(stored.planned.worklist.package_files()),
    )


def _format_counts(worklist: Worklist) -> Iterator[FormatCount]:
    extents = worklist.extents()
    for puid, name, files, size, not_valid, mime in worklist.format_totals():
        pages, seconds = extents.get(puid, (0, 0))
        yield FormatCount(puid, name, files, size, not_valid, mime, pages, seconds)


def _day(until: date | None) -> str:
    return until.isoformat() if until else ""
