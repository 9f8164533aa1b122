"""One writer per AIP: whoever writes to one, or judges its copies, holds its lease meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from packages.package_file import timestamp
from pipeline.archive import Archive
from pipeline.versions import finish_planned_version
from storage.catalogue import AipRow

__all__ = ["WAIT_FOR_PERSON_S", "LeasedAip", "leased_aip"]

WAIT_FOR_PERSON_S = 30.0
"""How long a command that a person started waits for a lease; what runs by itself takes the next AIP."""


@dataclass(frozen=True, slots=True)
class LeasedAip:
    """An AIP that nobody else writes to: ``row`` was read under the lease (None: there is none).

    ``archive`` refuses every write once the lease is lost.
    """

    archive: Archive
    row: AipRow | None


@contextmanager
def leased_aip(archive: Archive, aip: str, purpose: str, *, wait_s: float = 0.0) -> Iterator[LeasedAip]:
    """Hold an AIP's lease while the context lasts; what a killed update left is finished first.

    Raises Busy when another process holds it after ``wait_s`` seconds; StoreUnavailable where an
    update that was cut off cannot be finished now.
    """
    since = timestamp(archive.clock())
    with archive.catalogue.leased(aip, purpose, since=since, wait_s=wait_s) as lease:
        leased = archive.under(lease)
        row = leased.catalogue.aip(aip)
        if row is not None and finish_planned_version(leased, row):
            row = leased.catalogue.aip(aip)
        yield LeasedAip(leased, row)
