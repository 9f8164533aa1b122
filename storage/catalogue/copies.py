"""Where the copies are, what is known of each, and whose fixity check is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import bindparam, insert, or_, select, update

from storage.catalogue.events import insert_events
from storage.catalogue.repository import Repository
from storage.catalogue.rows import AipRow, CopyRow, CopyTallyRow, DueCopy, EventRow
from storage.catalogue.tables import AIP, COPY, COPY_TALLY
from storage.catalogue.tallies import recounted_copies
from storage.states import AipState, CopyState

_COPIES = select(COPY).where(COPY.c.aip == bindparam("of_aip")).order_by(COPY.c.store)
_THIS = (COPY.c.aip == bindparam("of_aip")) & (COPY.c.store == bindparam("of_store"))
_COPY, _CHANGE = select(COPY).where(_THIS), update(COPY).where(_THIS)


class CopyRecords(Repository):
    """One row a copy."""

    def stores_with_verified(self, aip_id: str) -> tuple[str, ...]:
        """The names of the stores that hold a verified copy of the newest version."""
        query = select(COPY.c.store).join(AIP, AIP.c.id == COPY.c.aip).where(COPY.c.aip == aip_id)
        query = query.where(COPY.c.state == CopyState.VERIFIED, COPY.c.version == AIP.c.version)
        with self._database.transaction() as connection:
            return tuple(connection.execute(query.order_by(COPY.c.store)).scalars())

    def of(self, aip_id: str) -> tuple[CopyRow, ...]:
        """Everything known of the copies of an AIP."""
        with self._database.transaction() as connection:
            return tuple(CopyRow(**row._mapping) for row in connection.execute(_COPIES, {"of_aip": aip_id}))

    def get(self, aip_id: str, store: str) -> CopyRow | None:
        """What is known of the copy of an AIP in one store."""
        with self._database.transaction() as connection:
            row = connection.execute(_COPY, {"of_aip": aip_id, "of_store": store}).first()
        return CopyRow(**row._mapping) if row else None

    def put(self, copy: CopyRow, events: Iterable[EventRow] = ()) -> None:
        """Record what is known of one copy now, and what happened to it, as one fact.

        Empty moments keep the earlier ones.
        """
        rows = list(events)
        values = {"version": copy.version, "state": copy.state, "detail": copy.detail}
        if copy.verified:
            values["verified"] = copy.verified
        if copy.last_checked or copy.verified:
            values["last_checked"] = copy.last_checked or copy.verified
        key = {"of_aip": copy.aip, "of_store": copy.store}
        with self._database.write() as connection, recounted_copies(connection, copy.aip):
            if connection.execute(_CHANGE, {**values, **key}).rowcount == 0:
                fresh = {"aip": copy.aip, "store": copy.store, "verified": copy.verified}
                connection.execute(insert(COPY), {**values, **fresh})
            if rows:
                insert_events(connection, copy.aip, rows)

    def lacking(self, store: str) -> Iterator[str]:
        """AIPs of which this store has no verified copy of the newest version, whatever the reason."""
        joined = AIP.outerjoin(COPY, (COPY.c.aip == AIP.c.id) & (COPY.c.store == store))
        query = (
            select(AIP.c.id)
            .select_from(joined)
            .where(AIP.c.state == AipState.KEPT)
            .where(
                or_(
                    COPY.c.aip.is_(None),
                    COPY.c.state != CopyState.VERIFIED,
                    COPY.c.version != AIP.c.version,
                )
            )
            .order_by(AIP.c.created, AIP.c.id)
        )
        with self._database.transaction() as connection:
            found = list(connection.scalars(query))
        yield from found

    def count(self, store: str) -> dict[str, int]:
        """How many copies of a store are in which state."""
        counts: Counter[str] = Counter()
        for row in self.tallies():
            if row.store == store:
                counts[row.state] += row.copies
        return dict(counts)

    def tallies(self) -> tuple[CopyTallyRow, ...]:
        """How many copies each store holds in which state, by the day they were last verified."""
        query = select(COPY_TALLY).where(COPY_TALLY.c.copies > 0)
        query = query.order_by(COPY_TALLY.c.store, COPY_TALLY.c.state, COPY_TALLY.c.day)
        with self._database.transaction() as connection:
            return tuple(CopyTallyRow(**row._mapping) for row in connection.execute(query))

    def in_state(
        self, store: str, state: str, *, limit: int, after: str = ""
    ) -> list[tuple[AipRow, CopyRow]]:
        """Copies of kept AIPs, each with its AIP, in the order of the AIPs' identifiers."""
        query = select(AIP, *COPY.c).join(COPY, AIP.c.id == COPY.c.aip)
        query = query.where(COPY.c.store == store, COPY.c.state == state, COPY.c.aip > after)
        query = query.where(AIP.c.state == AipState.KEPT).order_by(COPY.c.aip).limit(limit)
        width = len(AIP.c)
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return [(AipRow(*row[:width]), CopyRow(*row[width:])) for row in rows]

    def due(self, store: str, *, limit: int, before: str) -> list[DueCopy]:
        """The copies of a store that were checked longest ago, before ``before``.

        Longest unseen, not longest unverified: a copy that stays damaged must not stand in the way
        of the others. Pending copies are replication's business and are left out.
        """
        query = (
            select(COPY.c.aip, COPY.c.store, COPY.c.last_checked, AIP.c.bytes)
            .join(AIP, AIP.c.id == COPY.c.aip)
            .where(COPY.c.store == store, COPY.c.last_checked < before)
            .where(COPY.c.state != CopyState.PENDING, AIP.c.state == AipState.KEPT)
            .order_by(COPY.c.last_checked, COPY.c.aip)
            .limit(limit)
        )
        with self._database.transaction() as connection:
            return [DueCopy(**row._mapping) for row in connection.execute(query)]

    def under_replicated(self, required: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """(AIP, stores that lack a verified copy of its newest version) for the stores named."""
        lacking: dict[str, list[str]] = {}
        for store in required:
            for aip in self.lacking(store):
                lacking.setdefault(aip, []).append(store)
        yield from ((aip, tuple(stores)) for aip, stores in lacking.items())
