"""Formats that were found to be others after the ingest: events of the catalogue, applied to its counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from packages.premis import EventType
from pipeline.archive import Archive
from storage.catalogue import EventRow, FormatCount

__all__ = ["Changed", "apply_changes", "changes_in", "changes_payload"]


@dataclass(frozen=True, slots=True)
class Changed:
    """One file whose format is another one now; ``before`` and ``puid`` may be ``unknown``."""

    path: str
    sha512: str
    bytes: int
    before: str
    puid: str
    name: str
    mime: str


def changes_in(row: EventRow) -> tuple[Changed, ...]:
    """The changes of format that an event after the ingest tells of; none in any other event."""
    if row.type != EventType.FORMAT_IDENTIFICATION.label or not row.payload:
        return ()
    return tuple(Changed(**one) for one in json.loads(row.payload)["formats"])


def changes_payload(changes: Sequence[Changed]) -> str:
    """What the event of these changes says to a later rebuild."""
    return json.dumps({"formats": [asdict(one) for one in changes]}, ensure_ascii=False) if changes else ""


def apply_changes(archive: Archive, aip: str, row: EventRow) -> None:
    """Bring the catalogue's counts up to what an event says."""
    for one in changes_in(row):
        to = FormatCount(one.puid, one.name, 1, one.bytes, 0, one.mime)
        archive.catalogue.formats.move(aip, one.before, to)
