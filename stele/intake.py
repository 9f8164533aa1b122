"""How a workspace takes submissions in: its drop boxes, its agreements, what a person names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from packages.paths import visible
from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.context import Progress, Result, no_progress
from pipeline.intake import BucketBox, DropBox, FolderBox, Intake, take_from_drop_box
from stele.settings import BoxSettings, S3StoreSettings, Settings
from stele.wiring import agreement_names, build_store, choose_agreement, ingest_function

__all__ = ["agreements", "build_intake", "ingest_now"]


def build_intake(archive: Archive, settings: Settings) -> Intake:
    """How this workspace takes deliveries in: its boxes, its agreements. Raises AgreementError."""
    boxes: dict[str, DropBox] = {"dropbox": FolderBox(settings.place(settings.dropbox))}
    for wanted in settings.nightly.boxes:
        store = build_store(box_store(wanted), settings)
        address = f"s3://{wanted.bucket}/{wanted.prefix.strip('/')}"
        boxes[wanted.name] = BucketBox(store, address, settings.place(settings.work))
    return Intake(archive, boxes, ingest_function(settings), agreements(settings))


def ingest_now(
    archive: Archive,
    settings: Settings,
    path: Path,
    agreement: Agreement,
    progress: Progress = no_progress,
) -> Result:
    """Take in what a person named: from the command line, a form, a decision.

    What lies in the drop box is known to the nightly run afterwards. Raises Busy, OSError,
    StoreUnavailable.
    """

    def ingest_it() -> Result:
        return ingest_function(settings)(path, agreement, archive, progress)

    return take_from_drop_box(archive, settings.place(settings.dropbox), path, ingest_it)


def box_store(wanted: BoxSettings) -> S3StoreSettings:
    """A drop box is reached as a store is."""
    return S3StoreSettings(kind="s3", **wanted.model_dump())


def agreements(settings: Settings) -> Callable[[str], Agreement]:
    """An agency's own agreement where one has its name, else the default in the agency's name.

    Raises AgreementError.
    """
    known = set(agreement_names(settings))
    chosen: dict[str, Agreement] = {}

    def choose(agency: str) -> Agreement:
        if agency not in chosen:
            agreed = choose_agreement(settings, agency if agency in known else None)
            chosen[agency] = agreed if agency in known or not agency else _lent(agreed, agency, settings)
        return chosen[agency]

    choose("")  # a default that is wrong is said before anything is begun
    return choose


def _lent(default: Agreement, agency: str, settings: Settings) -> Agreement:
    """The default agreement for an agency that has none, and what the workspace says to that."""
    lent = default.lent_to(visible(agency))
    if settings.nightly.unknown_agency == "review":
        why = f"“{lent.agency.name}” has no submission agreement of its own"
        lent = lent.model_copy(update={"review": why})
    return lent
