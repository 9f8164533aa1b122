"""Removals that two people agreed to: who asked, who approved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from sqlalchemy import delete, insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.database import put_row
from storage.catalogue.events import insert_events
from storage.catalogue.repository import Repository
from storage.catalogue.rows import EventRow, HoldRow, RemovalRow
from storage.catalogue.tables import AIP, COPY, HOLD, PLANNED_VERSION, REMOVAL
from storage.catalogue.tallies import recounted
from storage.states import AipState


class RemovalRecords(Repository):
    """One row a removal. It and the event that tells it are one transaction, durable on return."""

    def get(self, aip_id: str) -> RemovalRow | None:
        """The removal asked for or carried out, if any."""
        with self._database.transaction() as connection:
            row = connection.execute(select(REMOVAL).where(REMOVAL.c.aip == aip_id)).first()
        return RemovalRow(**row._mapping) if row else None

    def all(self) -> Iterator[RemovalRow]:
        """All of them, in the order they were asked for."""
        with self._database.transaction() as connection:
            rows = connection.execute(select(REMOVAL).order_by(REMOVAL.c.requested)).all()
        yield from (RemovalRow(**row._mapping) for row in rows)

    def request(self, removal: RemovalRow, event: EventRow) -> None:
        """Record a request."""
        with self._database.write(durable=True) as connection:
            put_row(connection, REMOVAL, asdict(removal))
            insert_events(connection, removal.aip, [event])

    def withdraw(self, aip_id: str, event: EventRow) -> None:
        """Forget a request that was not carried out; the event says who refused it."""
        with self._database.write(durable=True) as connection:
            connection.execute(delete(REMOVAL).where(REMOVAL.c.aip == aip_id))
            insert_events(connection, aip_id, [event])

    def begin(self, removal: RemovalRow, event: EventRow) -> HoldRow | None:
        """Record the approval: from now on the AIP is ``removing``. A hold forbids it and is returned."""
        with self._database.write(durable=True) as connection, recounted(connection, removal.aip):
            mine = select(AIP.c.state).where(AIP.c.id == removal.aip).with_for_update()
            connection.execute(mine)
            hold = connection.execute(select(HOLD).where(HOLD.c.aip == removal.aip)).first()
            if hold is not None:
                return HoldRow(**hold._mapping)
            put_row(connection, REMOVAL, asdict(removal))
            insert_events(connection, removal.aip, [event])
            gone = sql_update(AIP).where(AIP.c.id == removal.aip)
            connection.execute(gone.values(state=AipState.REMOVING))
        return None

    def complete(self, removal: RemovalRow, event: EventRow) -> None:
        """Every store has let go: the copies, the state and the event change together."""
        with self._database.write(durable=True) as connection, recounted(connection, removal.aip):
            insert_events(connection, removal.aip, [event])
            for table in (COPY, PLANNED_VERSION):
                connection.execute(delete(table).where(table.c.aip == removal.aip))
            put_row(connection, REMOVAL, asdict(removal))
            gone = sql_update(AIP).where(AIP.c.id == removal.aip)
            connection.execute(gone.values(state=AipState.REMOVED))

    def restore(self, removal: RemovalRow) -> None:
        """What the journal tells, for a catalogue that is rebuilt."""
        with self._database.write() as connection:
            connection.execute(delete(REMOVAL).where(REMOVAL.c.aip == removal.aip))
            connection.execute(insert(REMOVAL).values(asdict(removal)))
