"""Legal holds: who forbids the removal of what."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import and_, delete, insert, select

from storage.catalogue.database import put_row
from storage.catalogue.events import insert_events
from storage.catalogue.repository import Repository
from storage.catalogue.rows import EventRow, HoldRow
from storage.catalogue.tables import AIP, HOLD
from storage.errors import HoldStands
from storage.states import AipState


class HoldRecords(Repository):
    """One row a hold that stands. It and the event that tells it are one transaction, durable on return."""

    def get(self, aip_id: str) -> HoldRow | None:
        """The hold on an AIP, if there is one."""
        with self._database.transaction() as connection:
            row = connection.execute(select(HOLD).where(HOLD.c.aip == aip_id)).first()
        return HoldRow(**row._mapping) if row else None

    def all(self) -> tuple[HoldRow, ...]:
        """Every hold that stands."""
        with self._database.transaction() as connection:
            rows = connection.execute(select(HOLD).order_by(HOLD.c.aip)).all()
        return tuple(HoldRow(**row._mapping) for row in rows)

    def place(self, hold: HoldRow, event: EventRow, *, while_removing: bool) -> str | None:
        """Place a hold, unless the AIP is on its way out or another hold stands on it.

        Returns the AIP's state, None where there is no such AIP. The hold stands when that is
        ``kept``, or ``removing`` with ``while_removing``: then the caller has the AIP's lease, and the
        removal that was begun is not resumed while the hold stands. Raises HoldStands when there is
        one for another reason; one for the same reason stays as it is.
        """
        with self._database.write(durable=True) as connection:
            # The row is locked, so a removal that begins now sees the hold or is seen here.
            mine = select(AIP.c.state).where(AIP.c.id == hold.aip).with_for_update()
            state = connection.execute(mine).scalar()
            if state == AipState.KEPT or (state == AipState.REMOVING and while_removing):
                found = connection.execute(select(HOLD).where(HOLD.c.aip == hold.aip)).first()
                if found is None:
                    connection.execute(insert(HOLD).values(asdict(hold)))
                    insert_events(connection, hold.aip, [event])
                elif found.reason != hold.reason:
                    raise HoldStands(found.aip, reason=found.reason, person=found.person, since=found.since)
        return state

    def lift(self, hold: HoldRow, event: EventRow) -> bool:
        """Lift just this hold; False when another has taken its place, which then stands."""
        this = and_(*(HOLD.c[name] == value for name, value in asdict(hold).items()))
        with self._database.write(durable=True) as connection:
            lifted = bool(connection.execute(delete(HOLD).where(this)).rowcount)
            if lifted:
                insert_events(connection, hold.aip, [event])
        return lifted

    def restore(self, aip_id: str, hold: HoldRow | None) -> None:
        """What the journal tells last of an AIP's hold, for a catalogue that is rebuilt."""
        with self._database.write() as connection:
            if hold is None:
                connection.execute(delete(HOLD).where(HOLD.c.aip == aip_id))
            else:
                put_row(connection, HOLD, asdict(hold))
