"""What became of a nightly run: said alike by doctor, dashboard and metrics."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from storage.catalogue import Catalogue, NightlyRunRow

__all__ = ["NightlyState", "nightly_state"]

_GRACE = timedelta(hours=2)


class NightlyState(StrEnum):
    """Whether a nightly run happened, and came to its end."""

    NEVER = "never"  # none has run yet
    RUNNING = "running"
    DIED = "died"  # its process is gone; the next goes on
    LATE = "late"  # it ended, and none has begun since though it was time
    ENDED = "ended"


def nightly_state(
    catalogue: Catalogue, night: NightlyRunRow | None, now: datetime, *, every_hours: float | None
) -> NightlyState:
    """Of the newest night with ``every_hours``, of an earlier one with None: only the newest is late."""
    if night is None:
        return NightlyState.NEVER
    if not night.finished:
        return NightlyState.RUNNING if catalogue.nightly_runs.is_alive(night) else NightlyState.DIED
    age = now - datetime.fromisoformat(night.started)
    late = every_hours is not None and age > timedelta(hours=every_hours) + _GRACE
    return NightlyState.LATE if late else NightlyState.ENDED
