"""Which hold and which removal stand after all events of an AIP, in whatever order those come.

Events are not ordered by their times: clocks jump, and machines have one each. So a release names the
hold it lifts, and a refusal the request it refuses. Those of earlier versions name nothing: they end
what is older than they are.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from packages.premis import EventType
from storage.catalogue import AipRow, EventRow, HoldRow, RemovalRow
from storage.states import AipState

__all__ = [
    "RemovalHistory",
    "approval_payload",
    "begun_removal",
    "hold_of",
    "hold_payload",
    "is_about_removal",
    "refusal_payload",
    "release_payload",
    "request_payload",
]


def hold_payload(hold: HoldRow) -> str:
    """What the event of a hold says to a later rebuild."""
    return json.dumps({"hold": asdict(hold)}, ensure_ascii=False)


def release_payload(hold: HoldRow) -> str:
    """As ``hold_payload``, for the release of just this hold."""
    return json.dumps({"hold": None, "aip": hold.aip, "lifted": asdict(hold)}, ensure_ascii=False)


def request_payload(request: RemovalRow, replaced: RemovalRow | None) -> str:
    """For a request to remove an AIP, and the one whose place it takes."""
    ended = asdict(replaced) if replaced else None
    return json.dumps({"removal": asdict(request), "ended": ended}, ensure_ascii=False)


def approval_payload(approved: RemovalRow, row: AipRow) -> str:
    """For a request that a second person has approved, with the AIP as the catalogue has it: once the
    removal has begun nothing in storage says any more what it was."""
    record = {"removal": asdict(approved), "aip": asdict(replace(row, state=AipState.REMOVING))}
    return json.dumps(record, ensure_ascii=False)


def refusal_payload(request: RemovalRow) -> str:
    """For the refusal of just this request."""
    return json.dumps({"removal": None, "aip": request.aip, "ended": asdict(request)}, ensure_ascii=False)


def hold_of(row: EventRow) -> tuple[bool, HoldRow | None]:
    """Whether an event places or lifts a hold, and the hold it places."""
    record = _record(row, EventType.POLICY_ASSIGNMENT)
    if record.get("hold"):
        return True, HoldRow(**record["hold"])
    return "aip" in record and "hold" in record, None


def is_about_removal(row: EventRow) -> bool:
    """Whether an event asks for a removal, approves, refuses or tells of one."""
    return "removal" in _record(row, EventType.DELETION)


def begun_removal(row: EventRow) -> tuple[AipRow, RemovalRow] | None:
    """What an approval says of an AIP that may be gone from storage since."""
    record = _record(row, EventType.DELETION)
    removal = record.get("removal") or {}
    if not isinstance(record.get("aip"), dict) or not removal.get("approved_by") or removal.get("removed"):
        return None
    return AipRow(**record["aip"]), RemovalRow(**removal)


def _record(row: EventRow, kind: EventType) -> dict[str, Any]:
    if row.type != kind.label or not row.payload:
        return {}
    return dict(json.loads(row.payload))


@dataclass(slots=True)
class RemovalHistory:
    """One AIP's holds and removals, event by event."""

    has_holds: bool = False
    """Whether any event speaks of a hold at all."""
    _placed: Counter[HoldRow] = field(default_factory=Counter)
    _lifted: Counter[HoldRow] = field(default_factory=Counter)
    _all_lifted_at: str = ""
    _requests: dict[RemovalRow, RemovalRow] = field(default_factory=dict)
    """How far each has come, by what was asked for."""
    _ended: set[RemovalRow] = field(default_factory=set)
    _all_ended_at: str = ""

    def take(self, row: EventRow) -> None:
        """One event. Raises ValueError, TypeError, KeyError or AttributeError when its payload is not one
        of ours."""
        about_hold, placed = hold_of(row)
        if about_hold:
            lifted = _record(row, EventType.POLICY_ASSIGNMENT).get("lifted")
            if placed:
                self._placed[placed] += 1
            elif lifted:
                self._lifted[HoldRow(**lifted)] += 1
            else:
                self._all_lifted_at = max(self._all_lifted_at, row.time)
            self.has_holds = True
        if is_about_removal(row):
            self._take_removal(row)

    def _take_removal(self, row: EventRow) -> None:
        record = _record(row, EventType.DELETION)
        ended = record.get("ended")
        if record["removal"]:
            found = RemovalRow(**record["removal"])
            known = self._requests.get(_asked(found), found)
            self._requests[_asked(found)] = replace(
                found,
                approved_by=found.approved_by or known.approved_by,
                removed=found.removed or known.removed,
            )
        elif not ended:
            self._all_ended_at = max(self._all_ended_at, row.time)
        if ended:
            self._ended.add(_asked(RemovalRow(**ended)))

    def hold(self) -> HoldRow | None:
        """The hold that stands; of several, which earlier versions allowed, the last."""
        standing = [
            one for one, times in self._placed.items()
            if times > self._lifted[one] and one.since >= self._all_lifted_at
        ]  # fmt: skip
        return max(standing, key=lambda one: one.since, default=None)

    def removal(self) -> RemovalRow | None:
        """The request that stands, with how far it has come; None where all were carried out or refused."""
        standing = [
            state for asked, state in self._requests.items()
            if not state.removed and asked not in self._ended and asked.requested >= self._all_ended_at
        ]  # fmt: skip
        return max(standing, key=lambda one: (bool(one.approved_by), one.requested), default=None)


def _asked(row: RemovalRow) -> RemovalRow:
    return replace(row, approved_by="", removed="")
