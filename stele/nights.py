"""The night as a workspace configures it; command line and flow both start here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from packages.paths import visible
from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.context import Progress, Result, no_progress
from pipeline.night import (
    BucketBox,
    DropBox,
    FolderBox,
    Intake,
    NightLimits,
    NightReport,
    Watch,
    run_night,
    take_from_drop_box,
    unwatched,
)
from pipeline.preservation.audit import audit
from pipeline.preservation.journal import write_journal
from pipeline.preservation.removal import resume_removals, tell_stores_of_holds
from pipeline.preservation.replicate import replicate
from stele.preservation_commands import audit_budget
from stele.settings import BoxSettings, S3StoreSettings, Settings
from stele.wiring import agreement_names, build_store, choose_agreement, ingest_function
from storage.copies import CopyState

__all__ = ["agreements", "build_intake", "care_for_copies", "ingest_now", "night"]


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
    if settings.night.unknown_agency == "held":
        why = f"“{lent.agency.name}” has no submission agreement of its own"
        lent = lent.model_copy(update={"review": why})
    return lent


def care_for_copies(archive: Archive, settings: Settings) -> dict[str, int]:
    """What was interrupted is finished, pending copies are made, what is due is audited; how many of
    what."""
    names = ("copies made", "copies not made", "verified", "damaged", "unreadable")
    counts = Counter(dict.fromkeys(names, 0))
    for _, reason in resume_removals(archive):
        counts["removals not finished" if reason else "removals finished"] += 1
    for _ in tell_stores_of_holds(archive):
        counts["holds not enforced"] += 1
    for done in replicate(archive):
        made = "copies made" if done.made else "copies not made"
        counts["skipped, in use" if done.skipped else made] += 1
    for seen in audit(archive, audit_budget(settings)):
        name = "damaged" if seen.state is CopyState.MISSING else str(seen.state)
        counts["skipped, in use" if seen.skipped else name] += 1
    if write_journal(archive, catch_up=True).behind:
        counts["stores without the journal"] += 1
    return dict(counts)
