"""The night as a workspace configures it; command line and flow both start here."""

from __future__ import annotations

from collections.abc import Callable

from packages.paths import visible
from pipeline.agreement import Agreement
from pipeline.ingest import Archive
from pipeline.night import (
    BucketBox,
    DropBox,
    FolderBox,
    Intake,
    NightLimits,
    NightReport,
    Watch,
    run_night,
    unwatched,
)
from pipeline.preservation.audit import audit
from pipeline.preservation.journal import write_journal
from pipeline.preservation.replicate import replicate
from stele.preservation_commands import audit_budget
from stele.settings import BoxSettings, S3StoreSettings, Settings
from stele.wiring import agreement_names, build_store, choose_agreement, ingest_function
from storage.copies import CopyState

__all__ = ["agreements", "build_intake", "care_for_copies", "night"]


def night(
    archive: Archive, settings: Settings, watch: Watch = unwatched, *, held_again: bool = False
) -> NightReport:
    """One night as the workspace configures it. Raises AgreementError, StoreUnavailable."""
    wanted = settings.night
    limits = NightLimits(
        quiet=wanted.quiet_seconds, max_seconds=wanted.max_hours * 3600, most_of_one=wanted.most_of_one,
        held_again=held_again, weights=wanted.weights,
    )  # fmt: skip
    intake = build_intake(archive, settings)
    if wanted.parallel == 1:
        return run_night(intake, limits, watch)
    from stele.night_workers import ManyHands

    with ManyHands(settings, archive, wanted.parallel) as hands:
        return run_night(intake, limits, watch, hands)


def build_intake(archive: Archive, settings: Settings) -> Intake:
    """How this workspace takes deliveries in: its boxes, its agreements. Raises AgreementError."""
    boxes: dict[str, DropBox] = {"dropbox": FolderBox(settings.place(settings.dropbox))}
    for wanted in settings.night.boxes:
        store = build_store(box_store(wanted), settings)
        address = f"s3://{wanted.bucket}/{wanted.prefix.strip('/')}"
        boxes[wanted.name] = BucketBox(store, address, settings.place(settings.work))
    return Intake(archive, boxes, ingest_function(settings), agreements(settings))


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
    if settings.night.unknown_agency == "held":
        why = f"“{lent.agency.name}” has no submission agreement of its own"
        lent = lent.model_copy(update={"review": why})
    return lent


def care_for_copies(archive: Archive, settings: Settings) -> dict[str, int]:
    """Owed copies and the audit; how many of what."""
    counts = {"copies made": 0, "copies not made": 0, "verified": 0, "damaged": 0, "unreadable": 0}
    for done in replicate(archive):
        counts["copies made" if done.made else "copies not made"] += 1
    for seen in audit(archive, audit_budget(settings)):
        name = "damaged" if seen.state is CopyState.MISSING else str(seen.state)
        counts[name] = counts.get(name, 0) + 1
    write_journal(archive)
    return counts
