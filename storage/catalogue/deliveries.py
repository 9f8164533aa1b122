"""Deliveries: what was found in a drop box, who works on it, how each ended."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from storage.catalogue.repository import Repository
from storage.catalogue.rows import DeliveryRow
from storage.catalogue.tables import DELIVERY
from storage.states import AttemptState


class DeliveryRecords(Repository):
    """One row a delivery."""

    def claim(self, fingerprint: str, path: str, agency: str, now: str, *, retry: Collection[str]) -> bool:
        """Take a delivery for this process, unless it was processed or another live one has it.

        ``retry`` are the outcomes after which it is taken again.
        """
        me = self._database.owner()
        with self._database.write() as connection:
            row = connection.execute(select(DELIVERY).where(DELIVERY.c.id == fingerprint)).first()
            if row is None:
                values = {
                    "id": fingerprint, "path": path, "agency": agency, "outcome": AttemptState.RUNNING,
                    "owner": me,
                    "attempts": 1, "started": now, "finished": "", "reason": "",
                }  # fmt: skip
                try:
                    connection.execute(insert(DELIVERY).values(values))
                except IntegrityError:
                    return False
                return True
            if row.outcome == AttemptState.RUNNING:
                if row.owner != me and self._database.is_live(connection, row.owner):
                    return False
            elif row.outcome not in retry:
                return False
            taken = connection.execute(
                sql_update(DELIVERY)
                .where(DELIVERY.c.id == fingerprint, DELIVERY.c.owner == row.owner)
                .where(DELIVERY.c.attempts == row.attempts)
                .values(outcome=AttemptState.RUNNING, owner=me, attempts=row.attempts + 1, started=now)
            )
            return bool(taken.rowcount)

    def finish(self, fingerprint: str, outcome: str, aip: str | None, now: str, reason: str) -> None:
        """Record how it ended."""
        with self._database.write() as connection:
            values = {"outcome": outcome, "aip": aip, "finished": now, "reason": reason[:2000]}
            connection.execute(sql_update(DELIVERY).where(DELIVERY.c.id == fingerprint).values(values))

    def latest(self, outcome: str = "") -> tuple[DeliveryRow, ...]:
        """All deliveries, or those that ended so, newest first."""
        query = select(DELIVERY).order_by(DELIVERY.c.started.desc(), DELIVERY.c.path)
        if outcome:
            query = query.where(DELIVERY.c.outcome == outcome)
        with self._database.transaction() as connection:
            return tuple(DeliveryRow(**row._mapping) for row in connection.execute(query))

    def already_processed(self, fingerprints: Collection[str], retry: Collection[str]) -> set[str]:
        """Those of the given deliveries that need not be taken again."""
        found: set[str] = set()
        wanted = list(fingerprints)
        with self._database.transaction() as connection:
            for at in range(0, len(wanted), 500):
                query = select(DELIVERY.c.id, DELIVERY.c.outcome).where(
                    DELIVERY.c.id.in_(wanted[at : at + 500])
                )
                found |= {
                    row.id
                    for row in connection.execute(query)
                    if row.outcome not in (AttemptState.RUNNING, *retry)
                }
        return found
