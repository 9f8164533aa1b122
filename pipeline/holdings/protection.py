"""What forbids the removal of an AIP: its agreement's retention, and a hold."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from pipeline.agreement import Agreement
from storage.catalogue import AipRow, Catalogue
from storage.protocol import Protection

__all__ = ["protection_by", "protection_of"]


def protection_by(agreement: Agreement) -> Protection:
    """What a new AIP is protected by; nobody can hold what is not there yet."""
    return Protection(_midnight(agreement.retention.until))


def protection_of(catalogue: Catalogue, row: AipRow) -> Protection:
    """What a stored AIP is protected by."""
    until = date.fromisoformat(row.retain_until) if row.retain_until else None
    return Protection(_midnight(until), held=catalogue.holds.get(row.id) is not None)


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None
