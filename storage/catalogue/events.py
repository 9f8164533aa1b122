"""What happened to AIPs, and what of it storage knows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, bindparam, insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.repository import Repository
from storage.catalogue.rows import (
    EventRow,
)
from storage.catalogue.tables import (
    EVENT,
)

_NOT_JOURNALED = (
    select(*(column for column in EVENT.c if column.name != "journaled"))
    .where(~EVENT.c.journaled)
    .order_by(EVENT.c.time, EVENT.c.id)
    .limit(bindparam("most"))
)


class EventRecords(Repository):
    """One row an event."""

    def of(self, aip_id: str) -> tuple[EventRow, ...]:
        """What happened to an AIP, oldest first."""
        columns = [column for column in EVENT.c if column.name not in ("aip", "journaled")]
        query = select(*columns).where(EVENT.c.aip == aip_id).order_by(EVENT.c.time, EVENT.c.id)
        with self._database.transaction() as connection:
            return tuple(EventRow(**row._mapping) for row in connection.execute(query))

    def add(self, aip_id: str, events: Iterable[EventRow], *, journaled: bool = False) -> None:
        """Record what happened after the ingest; ``journaled`` says that storage knows it too."""
        rows = list(events)
        if rows:
            with self._database.write() as connection:
                insert_events(connection, aip_id, rows, journaled=journaled)

    def known(self, event_ids: Sequence[str]) -> set[str]:
        """Those of the given events that the catalogue has already."""
        query = select(EVENT.c.id).where(EVENT.c.id.in_(event_ids))
        with self._database.transaction() as connection:
            return set(connection.execute(query).scalars())

    def not_journaled(self, limit: int) -> list[tuple[str, EventRow]]:
        """(AIP, event) of up to ``limit`` events that storage does not know yet, oldest first."""
        with self._database.transaction() as connection:
            rows = [dict(row._mapping) for row in connection.execute(_NOT_JOURNALED, {"most": limit})]
        return [(row.pop("aip"), EventRow(**row)) for row in rows]

    def mark_journaled(self, event_ids: Sequence[str]) -> None:
        """These events are in storage now."""
        with self._database.write() as connection:
            for start in range(0, len(event_ids), 500):
                some = event_ids[start : start + 500]
                connection.execute(sql_update(EVENT).where(EVENT.c.id.in_(some)).values(journaled=True))

    def latest_damage(self, limit: int) -> list[tuple[str, EventRow]]:
        """(AIP, event) of the last damage and repairs in any store, newest first."""
        columns = [column for column in EVENT.c if column.name != "journaled"]
        bad = (EVENT.c.type == "recovery") | (EVENT.c.outcome == "failure")
        query = select(*columns).where(EVENT.c.store != "", bad)
        query = query.order_by(EVENT.c.time.desc()).limit(limit)
        with self._database.transaction() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [(row.pop("aip"), EventRow(**row)) for row in rows]


def insert_events(
    connection: Connection, aip_id: str, events: Iterable[EventRow], *, journaled: bool = False
) -> None:
    """Add events within a transaction that also changes what they tell."""
    rows = [{"aip": aip_id, "journaled": journaled, **asdict(row)} for row in events]
    connection.execute(insert(EVENT), rows)
