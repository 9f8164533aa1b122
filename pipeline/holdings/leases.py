"""One writer per AIP: whoever writes to one, or judges its copies, holds its lease meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from packages.package_file import timestamp
from pipeline.archive import Archive
from pipeline.errors import PipelineError
from pipeline.holdings.versions import finish_planned_version
from storage.catalogue import AipRow
from storage.errors import LeaseLost, StorageError, StoreUnavailable

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

    What goes wrong after the lease was lost is told as LeaseLost. Raises Busy when another process
    holds it after ``wait_s`` seconds; StoreUnavailable where an update that was cut off cannot be
    finished now.
    """
    since = timestamp(archive.clock())
    with archive.catalogue.leases.leased(aip, purpose, since=since, wait_s=wait_s) as lease:
        leased = archive.under(lease)
        try:
            row = leased.catalogue.aips.get(aip)
            if row is not None and finish_planned_version(leased, row):
                row = leased.catalogue.aips.get(aip)
            yield LeasedAip(leased, row)
        except LeaseLost:
            raise
        except (StorageError, PipelineError):
            # Whoever stood still until others took over finds an AIP that he does not understand.
            with suppress(StoreUnavailable):  # it cannot be asked: then the error is what there is to tell
                leased.catalogue.leases.confirm()
            raise
