"""One delivery: claimed, brought, taken in, and its end recorded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packages.package_file import timestamp
from packages.paths import printable
from packages.problems.catalogue import problem
from pipeline.agreement import Agreement, AgreementError
from pipeline.archive import Archive
from pipeline.context import Result
from pipeline.ingest.run import failed, refused
from pipeline.intake.boxes import DeliveryUnreadable, DropBox
from pipeline.intake.deliveries import Delivery, delivery_at
from storage.errors import Busy, StorageError
from storage.states import AttemptState, Outcome

__all__ = [
    "RETRIED",
    "ChooseAgreement",
    "Executor",
    "Ingest",
    "Intake",
    "SerialExecutor",
    "take_from_drop_box",
]

RETRIED = (str(Outcome.FAILED), AttemptState.DECIDED)
"""Outcomes after which a delivery is taken again: what is our fault, and what somebody decided."""


class Ingest(Protocol):
    """How submissions are taken in."""

    def __call__(self, subject: Path, agreement: Agreement, archive: Archive, *, shown: str) -> Result: ...


ChooseAgreement = Callable[[str], Agreement]


@dataclass(frozen=True, slots=True)
class Intake:
    """Everything that is needed to take a delivery in."""

    archive: Archive
    boxes: Mapping[str, DropBox]
    ingest: Ingest
    agreement_for: ChooseAgreement

    def take(self, delivery: Delivery, retried: Collection[str]) -> Result | None:
        """How it ended; None when another process has it. Raises StoreUnavailable for the catalogue."""
        catalogue, clock = self.archive.catalogue, self.archive.clock
        shown = printable(delivery.place)
        if not catalogue.deliveries.claim(
            delivery.fingerprint, shown, delivery.agency, timestamp(clock()), retry=retried
        ):
            return None
        result = self._ingest(delivery, shown)
        _finish(self.archive, delivery, result)
        return result

    def _ingest(self, delivery: Delivery, shown: str) -> Result:
        try:
            agreement = self.agreement_for(delivery.agency)
        except AgreementError as error:  # one agency's mistake must not cost the others their night
            return failed(shown, self.agreement_for(""), self.archive, error)
        try:
            with self.boxes[delivery.box].fetched(delivery) as path:
                return self.ingest(path, agreement, self.archive, shown=shown)
        except DeliveryUnreadable as error:
            found = problem("PATH-ESCAPE", shown, found=str(error))
            return refused(shown, agreement, self.archive, found)
        except (OSError, StorageError) as error:  # the box cannot be reached
            return failed(shown, agreement, self.archive, error)


class Executor(Protocol):
    """Who takes deliveries in: this process, or several."""

    def take(
        self, deliveries: Iterable[Delivery], retried: Collection[str]
    ) -> Iterator[tuple[Delivery, Result | None]]:
        """Each with how it ended, None when another process had it. They are asked for one by one,
        only when executor are free."""


def take_from_drop_box(
    archive: Archive, dropbox: Path, path: Path, ingest_it: Callable[[], Result]
) -> Result:
    """Take in what a person named, and if it lies in the drop box, let the nightly run know of it.

    Raises Busy while another process takes the same delivery in, OSError, StoreUnavailable.
    """
    delivery = delivery_at(dropbox, path)
    if delivery is None:
        return ingest_it()
    catalogue, shown = archive.catalogue, printable(delivery.place)
    every = (*(str(outcome) for outcome in Outcome), AttemptState.DECIDED)
    now = timestamp(archive.clock())
    if not catalogue.deliveries.claim(delivery.fingerprint, shown, delivery.agency, now, retry=every):
        raise Busy(shown, "another ingest")
    result = ingest_it()
    _finish(archive, delivery, result)
    return result


def _finish(archive: Archive, delivery: Delivery, result: Result) -> None:
    reason = result.reason or "; ".join(_first_errors(result))
    archive.catalogue.deliveries.finish(
        delivery.fingerprint, str(result.outcome), result.aip, timestamp(archive.clock()), reason
    )


class SerialExecutor:
    """This process, one after the other."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def take(
        self, deliveries: Iterable[Delivery], retried: Collection[str]
    ) -> Iterator[tuple[Delivery, Result | None]]:
        for delivery in deliveries:
            yield delivery, self._intake.take(delivery, retried)


def _first_errors(result: Result) -> Iterator[str]:
    for one in result.problems[:5]:
        if one.severity == "error":
            yield f"{one.code}: {one.for_operator}"
