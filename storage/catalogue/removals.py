"""Holds, and removals that two people agreed to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from sqlalchemy import delete, insert, select

from storage.catalogue.database import Database
from storage.catalogue.rows import HoldRow, RemovalRow
from storage.catalogue.tables import COPY, HOLD, REMOVAL
from storage.catalogue.tallies import recounted_copies


class Removals(Database):
    """Who forbids the removal of what, who asked for it, who approved it."""

    def hold(self, aip_id: str) -> HoldRow | None:
        """The hold on an AIP, if there is one."""
        with self._transaction() as connection:
            row = connection.execute(select(HOLD).where(HOLD.c.aip == aip_id)).first()
        return HoldRow(**row._mapping) if row else None

    def set_hold(self, hold: HoldRow) -> None:
        """Place a hold; a second one replaces the first."""
        with self._transaction() as connection:
            connection.execute(delete(HOLD).where(HOLD.c.aip == hold.aip))
            connection.execute(insert(HOLD).values(asdict(hold)))

    def lift_hold(self, aip_id: str) -> None:
        """Take a hold away."""
        with self._transaction() as connection:
            connection.execute(delete(HOLD).where(HOLD.c.aip == aip_id))

    def removal(self, aip_id: str) -> RemovalRow | None:
        """The removal asked for or carried out, if any."""
        with self._transaction() as connection:
            row = connection.execute(select(REMOVAL).where(REMOVAL.c.aip == aip_id)).first()
        return RemovalRow(**row._mapping) if row else None

    def removals(self) -> Iterator[RemovalRow]:
        """All of them, in the order they were asked for."""
        with self._transaction() as connection:
            rows = connection.execute(select(REMOVAL).order_by(REMOVAL.c.requested)).all()
        yield from (RemovalRow(**row._mapping) for row in rows)

    def set_removal(self, removal: RemovalRow) -> None:
        """Record a request, an approval, or that it is done."""
        with self._transaction() as connection:
            connection.execute(delete(REMOVAL).where(REMOVAL.c.aip == removal.aip))
            connection.execute(insert(REMOVAL).values(asdict(removal)))

    def withdraw_removal(self, aip_id: str) -> None:
        """Forget a request that was not carried out."""
        with self._transaction() as connection:
            connection.execute(delete(REMOVAL).where(REMOVAL.c.aip == aip_id))

    def forget_copies(self, aip_id: str) -> None:
        """The AIP has no copies any more; its record stays."""
        with self._transaction() as connection, recounted_copies(connection, aip_id):
            connection.execute(delete(COPY).where(COPY.c.aip == aip_id))
