"""The night as a workspace configures it; command line and flow both start here."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from pipeline.agreement import Agreement
from pipeline.ingest import Archive
from pipeline.night import NightLimits, NightReport, Watch, run_night, unwatched
from pipeline.preservation.audit import audit
from pipeline.preservation.journal import write_journal
from pipeline.preservation.replicate import replicate
from stele.preservation_commands import audit_budget
from stele.settings import Settings
from stele.wiring import agreement_names, choose_agreement, ingest_function
from storage.copies import CopyState

__all__ = ["agreements", "care_for_copies", "night", "tell"]

_PATIENCE = 20.0  # seconds for a webhook


def night(
    archive: Archive, settings: Settings, watch: Watch = unwatched, *, held_again: bool = False
) -> NightReport:
    """One night as the workspace configures it. Raises AgreementError, OSError, StoreUnavailable."""
    wanted = settings.night
    limits = NightLimits(
        quiet=wanted.quiet_seconds, max_seconds=wanted.max_hours * 3600, most_of_one=wanted.most_of_one,
        held_again=held_again, weights=wanted.weights,
    )  # fmt: skip
    return run_night(
        archive, settings.place(settings.dropbox), limits, ingest_function(settings),
        agreements(settings), watch,
    )  # fmt: skip


def agreements(settings: Settings) -> Callable[[str], Agreement]:
    """An agency's own agreement where one has its name, else the default. Raises AgreementError."""
    known = set(agreement_names(settings))
    chosen: dict[str, Agreement] = {}

    def choose(agency: str) -> Agreement:
        if agency not in chosen:
            chosen[agency] = choose_agreement(settings, agency if agency in known else None)
        return chosen[agency]

    choose("")  # a default that is wrong is said before anything is begun
    return choose


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


def tell(summary: dict[str, Any], settings: Settings) -> str:
    """Send the report of a night where the workspace says; why it could not be sent, or nothing.

    A morning without the message must not look like one without the night: that is in the catalogue.
    """
    address = settings.night.webhook
    if not address:
        return ""
    body = json.dumps(summary, ensure_ascii=False).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE):
            return ""
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"the report could not be sent to {urlsplit(address).hostname}: {error}"
