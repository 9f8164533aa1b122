"""All repairs that are waiting: copies found damaged or missing and not yet mended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from pipeline.ingest import Archive
from pipeline.preservation.audit import AuditBudget, audit_one
from pipeline.preservation.repair import Repaired
from storage.copies import CopyState

__all__ = ["repair_all"]


def repair_all(archive: Archive, aside: Path, only: str | None = None) -> Iterator[Repaired]:
    """Look at each such copy again and repair what is wrong now; ``only`` limits it to one AIP."""
    budget = AuditBudget(timedelta(days=1), 1 << 62, 1 << 62, float("inf"), repair=True, aside=aside)
    for store in archive.stores:
        for aip in archive.catalogue.lacking(store.name):
            if only is not None and aip != only:
                continue
            copy = archive.catalogue.copy(aip, store.name)
            if copy is None or copy.state == CopyState.OWED:
                continue  # replication's business
            result = audit_one(archive, aip, store, budget)
            if result.repaired:
                yield result.repaired
