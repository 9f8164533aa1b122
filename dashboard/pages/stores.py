"""Stores and copies: where every AIP is, when it was last checked, how much room is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from dashboard.charts import Chart, bars
from dashboard.sources import Sources, Space, StoreFacts
from storage.catalogue import AipRow, AuditRow, CopyRow, CopyTallyRow, EventRow, TallyRow
from storage.states import CopyState

__all__ = ["CopiesPage", "StoreLine", "StoresPage", "copies_page", "store_lines", "stores_page"]

_PAGE = 200
_AGES = ((7, "≤ 7"), (30, "8–30"), (60, "31–60"), (90, "61–90"), (180, "91–180"), (365, "181–365"))
_DAYS_OF_TREND = 90


@dataclass(frozen=True, slots=True)
class StoreLine:
    """One store. Bytes count content; ``days_left`` is None where nobody can say."""

    name: str
    kind: str
    place: str
    role: str
    audited: bool
    verified: int
    states: tuple[tuple[str, int], ...]
    """Everything that is not verified, by state."""
    lacking: int
    """AIPs of which the store was never given a copy, not even a pending one."""
    bytes: int
    total: int | None
    free: int | None
    days_left: int | None
    overdue: int
    ages: Chart

    @property
    def pending(self) -> int:
        """Copies that are still to be made."""
        return self.lacking + sum(number for state, number in self.states if state == CopyState.PENDING)

    @property
    def nearly_full(self) -> bool:
        """Less than a tenth free, or less than ninety days at the pace of the last ninety."""
        scarce = self.total is not None and self.free is not None and self.free < self.total / 10
        return scarce or (self.days_left is not None and self.days_left < _DAYS_OF_TREND)


@dataclass(frozen=True, slots=True)
class StoresPage:
    """All stores, the last audits, the last damage and repairs."""

    stores: tuple[StoreLine, ...]
    audits: tuple[AuditRow, ...]
    events: tuple[tuple[str, EventRow], ...]
    ttl_days: int


def stores_page(sources: Sources) -> StoresPage:
    """Build the page."""
    catalogue = sources.catalogue
    return StoresPage(
        store_lines(sources),
        tuple(catalogue.audits.latest(10)),
        tuple(catalogue.events.latest_damage(20)),
        sources.ttl_days,
    )


def store_lines(sources: Sources) -> tuple[StoreLine, ...]:
    """Every configured store."""
    tallies = sources.catalogue.copies.tallies()
    months = sources.catalogue.aips.tallies("month")
    kept, growth = sum(month.aips for month in months), _growth(months, sources.clock())
    today = sources.clock().date()
    return tuple(
        _line(facts, [t for t in tallies if t.store == facts.name], kept, growth, today, sources.ttl_days)
        for facts in sources.stores
    )


def _line(
    facts: StoreFacts,
    tallies: Sequence[CopyTallyRow],
    kept: int,
    growth: float,
    today: date,
    ttl_days: int,
) -> StoreLine:
    states: Counter[str] = Counter()
    for tally in tallies:
        states[tally.state] += tally.copies
    held = sum(t.bytes for t in tallies if t.state not in (CopyState.PENDING, CopyState.MISSING))
    quota = facts.capacity
    space = Space(quota, max(quota - held, 0)) if quota else facts.space()
    last_good_day = (today - timedelta(days=ttl_days)).isoformat()
    overdue = sum(t.copies for t in tallies if t.state == CopyState.VERIFIED and t.day < last_good_day)
    return StoreLine(
        name=facts.name, kind=facts.kind, place=facts.place, role=facts.role, audited=facts.audited,
        verified=states[CopyState.VERIFIED],
        states=tuple(sorted((s, n) for s, n in states.items() if s != CopyState.VERIFIED and n)),
        lacking=max(kept - sum(states.values()), 0), bytes=held, total=space.total, free=space.free,
        days_left=int(space.free / growth) if space.free is not None and growth > 0 else None,
        overdue=overdue if facts.audited else 0, ages=_ages(tallies, today, ttl_days),
    )  # fmt: skip


def _growth(months: Sequence[TallyRow], now: datetime) -> float:
    """Bytes a day over the last months, from the months' sums; 0 where nothing came."""
    begin = now - timedelta(days=_DAYS_OF_TREND)
    recent = [month for month in months if month.name >= f"{begin:%Y-%m}"]
    if not recent:
        return 0.0
    first = datetime.fromisoformat(f"{recent[0].name}-01").replace(tzinfo=UTC)
    return sum(month.bytes for month in recent) / max((now - first).days, 30)


def _ages(tallies: Sequence[CopyTallyRow], today: date, ttl_days: int) -> Chart:
    """How many days ago copies last passed a fixity check."""
    counts: Counter[str] = Counter()
    for tally in tallies:
        if tally.state != CopyState.PENDING:
            counts[_age(tally.day, today)] += tally.copies
    points = [
        (label, counts[label], "late" if days > ttl_days and counts[label] else "") for days, label in _AGES
    ]
    points.append(("> 365", counts["> 365"], "late"))
    points.append(("–", counts["–"], "late"))
    return bars(points)


def _age(day: str, today: date) -> str:
    if not day:
        return "–"
    age = (today - date.fromisoformat(day)).days
    return next((label for days, label in _AGES if age <= days), "> 365")


@dataclass(frozen=True, slots=True)
class CopiesPage:
    """Copies of one store in one state, with the AIPs they belong to."""

    store: str
    state: str
    copies: tuple[tuple[AipRow, CopyRow], ...]
    following: str
    """Where the next page begins; empty on the last."""


def copies_page(sources: Sources, store: str, state: str, after: str) -> CopiesPage:
    """Ask for one page of them."""
    rows = sources.catalogue.copies.in_state(store, state, limit=_PAGE + 1, after=after)
    following = rows[_PAGE - 1][1].aip if len(rows) > _PAGE else ""
    return CopiesPage(store, state, tuple(rows[:_PAGE]), following)
