"""What became of a night: said alike by doctor, dashboard and metrics."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from storage.catalogue import Catalogue, NightRow

__all__ = ["NightState", "night_state"]

_GRACE = timedelta(hours=2)


class NightState(StrEnum):
    """Whether a night happened, and came to its end."""

    NEVER = "never"  # none has run yet
    RUNNING = "running"
    DIED = "died"  # its process is gone; the next goes on
    LATE = "late"  # it ended, and none has begun since though it was time
    ENDED = "ended"


def night_state(
    catalogue: Catalogue, night: NightRow | None, now: datetime, *, every_hours: float | None
) -> NightState:
    """Of the newest night with ``every_hours``, of an earlier one with None: only the newest is late."""
    if night is None:
        return NightState.NEVER
    if not night.finished:
        return NightState.RUNNING if catalogue.night_is_running(night) else NightState.DIED
    age = now - datetime.fromisoformat(night.started)
    late = every_hours is not None and age > timedelta(hours=every_hours) + _GRACE
    return NightState.LATE if late else NightState.ENDED
