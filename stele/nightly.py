"""The nightly run as a workspace configures it; command line and flow both start here."""

from __future__ import annotations

from collections import Counter

from pipeline.archive import Archive
from pipeline.holdings.journal import write_journal
from pipeline.intake import (
    NightlyLimits,
    NightlyReport,
    Watch,
    run_nightly,
    unwatched,
)
from pipeline.preservation.audit import audit
from pipeline.preservation.removal import resume_removals, tell_stores_of_holds
from pipeline.preservation.replicate import replicate
from stele.intake import build_intake
from stele.nightly_executor import ProcessExecutor
from stele.settings import Settings
from stele.wiring import audit_budget
from storage.states import CopyState

__all__ = ["care_for_copies", "night"]


def night(
    archive: Archive, settings: Settings, watch: Watch = unwatched, *, retry_in_review: bool = False
) -> NightlyReport:
    """One nightly run as the workspace configures it. Raises AgreementError, StoreUnavailable."""
    wanted = settings.nightly
    limits = NightlyLimits(
        quiet=wanted.quiet_seconds, max_seconds=wanted.max_hours * 3600,
        max_per_agency=wanted.max_per_agency, retry_in_review=retry_in_review, weights=wanted.weights,
    )  # fmt: skip
    intake = build_intake(archive, settings)
    if wanted.parallel == 1:
        return run_nightly(intake, limits, watch)
    with ProcessExecutor(settings, archive, wanted.parallel) as executor:
        return run_nightly(intake, limits, watch, executor)


def care_for_copies(archive: Archive, settings: Settings) -> dict[str, int]:
    """What was interrupted is finished, pending copies are made, what is due is audited; how many of
    what."""
    names = (
        "copies made",
        "copies not made",
        str(CopyState.VERIFIED),
        str(CopyState.DAMAGED),
        str(CopyState.UNREADABLE),
    )
    counts = Counter(dict.fromkeys(names, 0))
    for _, reason in resume_removals(archive):
        counts["removals not finished" if reason else "removals finished"] += 1
    for _ in tell_stores_of_holds(archive):
        counts["holds not enforced"] += 1
    for done in replicate(archive):
        made = "copies made" if done.made else "copies not made"
        counts["skipped, in use" if done.skipped else made] += 1
    for seen in audit(archive, audit_budget(settings)):
        name = str(CopyState.DAMAGED if seen.state is CopyState.MISSING else seen.state)
        counts["skipped, in use" if seen.skipped else name] += 1
    if write_journal(archive, catch_up=True).behind:
        counts["stores without the journal"] += 1
    return dict(counts)
