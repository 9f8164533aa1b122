"""Events after the ingest: the catalogue has them at once, storage with the next journal."""

from __future__ import annotations

import uuid
from datetime import datetime

from packages.package_file import timestamp
from packages.premis import EventOutcome, EventType
from storage.catalogue import EventRow

__all__ = ["event"]


def event(
    kind: EventType,
    when: datetime,
    *,
    store: str,
    detail: str,
    note: str = "",
    outcome: EventOutcome = EventOutcome.SUCCESS,
) -> EventRow:
    """Something that happened to one copy, or (``store`` = ``*``) to all of them."""
    return EventRow(
        id=str(uuid.uuid4()),
        type=kind.label,
        time=timestamp(when),
        outcome=outcome.label,
        detail=detail,
        note=note,
        store=store,
    )
