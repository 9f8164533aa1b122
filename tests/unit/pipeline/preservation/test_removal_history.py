"""Holds and removals are the same in whatever order their events are read, and whatever the clocks said."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from packages.premis import EventType
from pipeline.preservation.removal_history import (
    RemovalHistory,
    approval_payload,
    hold_payload,
    refusal_payload,
    release_payload,
    request_payload,
)
from storage.catalogue import AipRow, EventRow, HoldRow, RemovalRow

_AIP = "urn:uuid:00000000-0000-4000-8000-000000000001"
_LATE, _EARLY = "2026-11-27T12:00:00Z", "2026-11-26T12:00:00Z"  # a clock that was set back in between
_FIRST = HoldRow(_AIP, "case 1", "Court", _LATE)
_SECOND = HoldRow(_AIP, "case 2", "Court", _EARLY)
_ASKED = RemovalRow(_AIP, "list 4", "A. Clerk", _LATE, "", "")
_AGAIN = RemovalRow(_AIP, "list 5", "A. Clerk", _EARLY, "", "")


def _event(payload: str, time: str, kind: EventType = EventType.POLICY_ASSIGNMENT) -> EventRow:
    return EventRow(f"urn:uuid:{hash(payload) & 0xFFFF}", kind.label, time, "success", "", "", "*", payload)


def _about(payload: str, time: str = _EARLY) -> EventRow:
    return _event(payload, time, EventType.DELETION)


_ROW = AipRow(_AIP, "v1", "T", "default", "A", "", "", 1, 1, _LATE, "0" * 128)
_PLACED, _LIFTED = _event(hold_payload(_FIRST), _LATE), _event(release_payload(_FIRST), _EARLY)
_PLACED_AGAIN = _event(hold_payload(_SECOND), _EARLY)
_REQUESTED = _about(request_payload(_ASKED, None), _LATE)
_REFUSED, _REPLACED = _about(refusal_payload(_ASKED)), _about(request_payload(_AGAIN, _ASKED))
_APPROVED = replace(_AGAIN, approved_by="B. Archivist")
_REMOVED = replace(_APPROVED, removed=_EARLY)


@pytest.mark.parametrize(
    ("events", "hold", "removal"),
    [
        ([_PLACED], _FIRST, None),
        ([_PLACED, _LIFTED], None, None),
        ([_PLACED, _LIFTED, _PLACED_AGAIN], _SECOND, None),
        ([_PLACED, _LIFTED, _PLACED], _FIRST, None),
        ([_REQUESTED], None, _ASKED),
        ([_REQUESTED, _REFUSED], None, None),
        ([_REQUESTED, _REPLACED], None, _AGAIN),
        ([_REQUESTED, _REPLACED, _about(approval_payload(_APPROVED, _ROW))], None, _APPROVED),
        (
            [
                _REPLACED,
                _about(approval_payload(_APPROVED, _ROW)),
                _about(approval_payload(_REMOVED, _ROW)),
            ],
            None,
            None,
        ),
        ([_PLACED, _REQUESTED, _REFUSED, _LIFTED], None, None),
    ],
)
def test_any_order(events: list[EventRow], hold: HoldRow | None, removal: RemovalRow | None) -> None:
    """Every order of the events tells the same."""
    for order in permutations(events):
        history = RemovalHistory()
        for event in order:
            history.take(event)
        assert (history.hold(), history.removal()) == (hold, removal), [one.note for one in order]


def test_releases_that_name_nothing() -> None:
    """As earlier versions wrote them: they end what is older, and nothing that is not."""
    blank = '{"hold": null, "aip": "x"}'
    for time, hold in ((_LATE, _FIRST), (_EARLY, _FIRST), ("2026-11-28T00:00:00Z", None)):
        history = RemovalHistory()
        history.take(_PLACED)
        history.take(_event(blank, time))
        assert history.hold() == hold
    refused = RemovalHistory()
    refused.take(_REQUESTED)
    refused.take(_about('{"removal": null, "aip": "x"}', "2026-11-28T00:00:00Z"))
    assert refused.removal() is None
