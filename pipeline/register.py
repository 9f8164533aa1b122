"""Stage 6: the catalogue learns what is kept."""

from __future__ import annotations

from packages.package_file import timestamp
from pipeline.context import IngestContext
from pipeline.store import StoredAip
from storage.catalogue import AipRow, Catalogue, FormatCount
from storage.catalogue.catalogue import EventRow

__all__ = ["register"]


def register(stored: StoredAip, catalogue: Catalogue, context: IngestContext) -> AipRow:
    """Write the AIP, its copies, formats and events in one transaction. Twice is harmless."""
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
        created=timestamp(context.clock()),
        inventory_sha512=stored.inventory_sha512,
    )
    catalogue.register(
        row,
        stores=stored.stores,
        formats=(FormatCount(*total) for total in stored.planned.worklist.format_totals()),
        events=(
            EventRow(e.id, e.type.label, timestamp(e.time), e.outcome.label, e.detail, e.note)
            for e in context.events
        ),
    )
    return row
