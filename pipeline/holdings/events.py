"""Events after the ingest: the catalogue has them at once, storage with the next journal."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from datetime import datetime

from packages.package_file import timestamp
from packages.premis import EventOutcome, EventType
from storage.catalogue import EventRow

__all__ = ["event"]

_last_ns = 0
_lock = threading.Lock()


def _next_id() -> str:
    """A UUID of version 7 (RFC 9562 §5.7): events of one second are in the order in which they happened.

    48 bits of milliseconds, 12 bits of the millisecond's fraction, the rest by chance.
    """
    global _last_ns
    with _lock:
        _last_ns = max(time.time_ns(), _last_ns + 1000)
        now = _last_ns
    milliseconds, fraction = divmod(now, 1_000_000)
    number = (milliseconds & ((1 << 48) - 1)) << 80 | 7 << 76 | (fraction * 4096 // 1_000_000) << 64
    return str(uuid.UUID(int=number | 2 << 62 | secrets.randbits(62)))


def event(
    kind: EventType,
    when: datetime,
    *,
    store: str,
    detail: str,
    note: str = "",
    payload: str = "",
    outcome: EventOutcome = EventOutcome.SUCCESS,
) -> EventRow:
    """Something that happened to one copy, or (``store`` = ``*``) to all of them.

    ``note`` says more to people, ``payload`` to a later rebuild.
    """
    return EventRow(
        id=_next_id(),
        type=kind.label,
        time=timestamp(when),
        outcome=outcome.label,
        detail=detail,
        note=note,
        store=store,
        payload=payload,
    )
