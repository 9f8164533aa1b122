"""Legal holds, and removals that two people agreed to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from sqlalchemy import and_, delete, insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.database import Database, put_row
from storage.catalogue.holdings import insert_events
from storage.catalogue.rows import EventRow, HoldRow, RemovalRow
from storage.catalogue.tables import AIP, COPY, HOLD, PLANNED_VERSION, REMOVAL
from storage.catalogue.tallies import recounted
from storage.errors import HoldStands


class Removals(Database):
    """Who forbids the removal of what, who asked for it, who approved it.

    A fact and the event that tells it are one transaction, durable on return.
    """

    def hold(self, aip_id: str) -> HoldRow | None:
        """The hold on an AIP, if there is one."""
        with self._transaction() as connection:
            row = connection.execute(select(HOLD).where(HOLD.c.aip == aip_id)).first()
        return HoldRow(**row._mapping) if row else None

    def holds(self) -> tuple[HoldRow, ...]:
        """Every hold that stands."""
        with self._transaction() as connection:
            rows = connection.execute(select(HOLD).order_by(HOLD.c.aip)).all()
        return tuple(HoldRow(**row._mapping) for row in rows)

    def place_hold(self, hold: HoldRow, event: EventRow, *, while_removing: bool) -> str | None:
        """Place a hold, unless the AIP is on its way out or another hold stands on it.

        Returns the AIP's state, None where there is no such AIP. The hold stands when that is
        ``kept``, or ``removing`` with ``while_removing``: then the caller has the AIP's lease, and the
        removal that was begun is not resumed while the hold stands. Raises HoldStands when there is
        one for another reason; one for the same reason stays as it is.
        """
        with self._write(durable=True) as connection:
            # The row is locked, so a removal that begins now sees the hold or is seen here.
            mine = select(AIP.c.state).where(AIP.c.id == hold.aip).with_for_update()
            state = connection.execute(mine).scalar()
            if state == "kept" or (state == "removing" and while_removing):
                found = connection.execute(select(HOLD).where(HOLD.c.aip == hold.aip)).first()
                if found is None:
                    connection.execute(insert(HOLD).values(asdict(hold)))
                    insert_events(connection, hold.aip, [event])
                elif found.reason != hold.reason:
                    raise HoldStands(found.aip, reason=found.reason, person=found.person, since=found.since)
        return state

    def lift_hold(self, hold: HoldRow, event: EventRow) -> bool:
        """Lift just this hold; False when another has taken its place, which then stands."""
        this = and_(*(HOLD.c[name] == value for name, value in asdict(hold).items()))
        with self._write(durable=True) as connection:
            lifted = bool(connection.execute(delete(HOLD).where(this)).rowcount)
            if lifted:
                insert_events(connection, hold.aip, [event])
        return lifted

    def restore_hold(self, aip_id: str, hold: HoldRow | None) -> None:
        """What the journal tells last of an AIP's hold, for a catalogue that is rebuilt."""
        with self._write() as connection:
            if hold is None:
                connection.execute(delete(HOLD).where(HOLD.c.aip == aip_id))
            else:
                put_row(connection, HOLD, asdict(hold))

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

    def request_removal(self, removal: RemovalRow, event: EventRow) -> None:
        """Record a request."""
        with self._write(durable=True) as connection:
            put_row(connection, REMOVAL, asdict(removal))
            insert_events(connection, removal.aip, [event])

    def withdraw_removal(self, aip_id: str, event: EventRow) -> None:
        """Forget a request that was not carried out; the event says who refused it."""
        with self._write(durable=True) as connection:
            connection.execute(delete(REMOVAL).where(REMOVAL.c.aip == aip_id))
            insert_events(connection, aip_id, [event])

    def begin_removal(self, removal: RemovalRow, event: EventRow) -> HoldRow | None:
        """Record the approval: from now on the AIP is ``removing``. A hold forbids it and is returned."""
        with self._write(durable=True) as connection, recounted(connection, removal.aip):
            mine = select(AIP.c.state).where(AIP.c.id == removal.aip).with_for_update()
            connection.execute(mine)
            hold = connection.execute(select(HOLD).where(HOLD.c.aip == removal.aip)).first()
            if hold is not None:
                return HoldRow(**hold._mapping)
            put_row(connection, REMOVAL, asdict(removal))
            insert_events(connection, removal.aip, [event])
            gone = sql_update(AIP).where(AIP.c.id == removal.aip)
            connection.execute(gone.values(state="removing"))
        return None

    def complete_removal(self, removal: RemovalRow, event: EventRow) -> None:
        """Every store has let go: the copies, the state and the event change together."""
        with self._write(durable=True) as connection, recounted(connection, removal.aip):
            insert_events(connection, removal.aip, [event])
            for table in (COPY, PLANNED_VERSION):
                connection.execute(delete(table).where(table.c.aip == removal.aip))
            put_row(connection, REMOVAL, asdict(removal))
            gone = sql_update(AIP).where(AIP.c.id == removal.aip)
            connection.execute(gone.values(state="removed"))

    def restore_removal(self, removal: RemovalRow) -> None:
        """What the journal tells, for a catalogue that is rebuilt."""
        with self._write() as connection:
            connection.execute(delete(REMOVAL).where(REMOVAL.c.aip == removal.aip))
            connection.execute(insert(REMOVAL).values(asdict(removal)))
