"""Where the copies are, what is known of each, whose turn it is to be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import insert, or_, select
from sqlalchemy import update as sql_update

from storage.catalogue.heartbeats import Heartbeats
from storage.catalogue.holdings import insert_events
from storage.catalogue.rows import AipRow, AuditRow, CopyRow, CopyTallyRow, DueCopy, EventRow
from storage.catalogue.tables import AIP, AUDIT, COPY, COPY_TALLY
from storage.catalogue.tallies import recounted_copies


class CopyRecords(Heartbeats):
    """One row a copy, one row an audit run."""

    def copies(self, aip_id: str) -> tuple[str, ...]:
        """The names of the stores that hold a verified copy of the newest version."""
        query = select(COPY.c.store).join(AIP, AIP.c.id == COPY.c.aip).where(COPY.c.aip == aip_id)
        query = query.where(COPY.c.state == "verified", COPY.c.version == AIP.c.version)
        with self._transaction() as connection:
            return tuple(connection.execute(query.order_by(COPY.c.store)).scalars())

    def copy_rows(self, aip_id: str) -> tuple[CopyRow, ...]:
        """Everything known of the copies of an AIP."""
        query = select(COPY).where(COPY.c.aip == aip_id).order_by(COPY.c.store)
        with self._transaction() as connection:
            return tuple(CopyRow(**row._mapping) for row in connection.execute(query))

    def copy(self, aip_id: str, store: str) -> CopyRow | None:
        """What is known of the copy of an AIP in one store."""
        query = select(COPY).where(COPY.c.aip == aip_id, COPY.c.store == store)
        with self._transaction() as connection:
            row = connection.execute(query).first()
        return CopyRow(**row._mapping) if row else None

    def set_copy(self, copy: CopyRow, events: Iterable[EventRow] = ()) -> None:
        """Record what is known of one copy now, and what happened to it, as one fact.

        Empty moments keep the earlier ones.
        """
        rows = list(events)
        values = {"version": copy.version, "state": copy.state, "detail": copy.detail}
        if copy.verified:
            values["verified"] = copy.verified
        if copy.last_checked or copy.verified:
            values["last_checked"] = copy.last_checked or copy.verified
        key = (COPY.c.aip == copy.aip) & (COPY.c.store == copy.store)
        with self._write() as connection, recounted_copies(connection, copy.aip):
            if connection.execute(sql_update(COPY).where(key).values(values)).rowcount == 0:
                fresh = {"aip": copy.aip, "store": copy.store, "verified": copy.verified}
                connection.execute(insert(COPY).values({**values, **fresh}))
            if rows:
                insert_events(connection, copy.aip, rows)

    def lacking(self, store: str) -> Iterator[str]:
        """AIPs of which this store has no verified copy of the newest version, whatever the reason."""
        joined = AIP.outerjoin(COPY, (COPY.c.aip == AIP.c.id) & (COPY.c.store == store))
        query = (
            select(AIP.c.id)
            .select_from(joined)
            .where(AIP.c.state == "kept")
            .where(or_(COPY.c.aip.is_(None), COPY.c.state != "verified", COPY.c.version != AIP.c.version))
            .order_by(AIP.c.created, AIP.c.id)
        )
        with self._transaction() as connection:
            found = list(connection.scalars(query))
        yield from found

    def count_copies(self, store: str) -> dict[str, int]:
        """How many copies of a store are in which state."""
        counts: Counter[str] = Counter()
        for row in self.copy_tallies():
            if row.store == store:
                counts[row.state] += row.copies
        return dict(counts)

    def copy_tallies(self) -> tuple[CopyTallyRow, ...]:
        """How many copies each store holds in which state, by the day they were last verified."""
        query = select(COPY_TALLY).where(COPY_TALLY.c.copies > 0)
        query = query.order_by(COPY_TALLY.c.store, COPY_TALLY.c.state, COPY_TALLY.c.day)
        with self._transaction() as connection:
            return tuple(CopyTallyRow(**row._mapping) for row in connection.execute(query))

    def copies_in_state(
        self, store: str, state: str, *, limit: int, after: str = ""
    ) -> list[tuple[AipRow, CopyRow]]:
        """Copies of kept AIPs, each with its AIP, in the order of the AIPs' identifiers."""
        query = select(AIP, *COPY.c).join(COPY, AIP.c.id == COPY.c.aip)
        query = query.where(COPY.c.store == store, COPY.c.state == state, COPY.c.aip > after)
        query = query.where(AIP.c.state == "kept").order_by(COPY.c.aip).limit(limit)
        width = len(AIP.c)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [(AipRow(*row[:width]), CopyRow(*row[width:])) for row in rows]

    def due(self, store: str, *, limit: int, before: str) -> list[DueCopy]:
        """The copies of a store that were looked at longest ago, before ``before``.

        Longest unseen, not longest unverified: a copy that stays damaged must not stand in the way
        of the others. Owed copies are replication's business and are left out.
        """
        query = (
            select(COPY.c.aip, COPY.c.store, COPY.c.last_checked, AIP.c.bytes)
            .join(AIP, AIP.c.id == COPY.c.aip)
            .where(COPY.c.store == store, COPY.c.last_checked < before)
            .where(COPY.c.state != "pending", AIP.c.state == "kept")
            .order_by(COPY.c.last_checked, COPY.c.aip)
            .limit(limit)
        )
        with self._transaction() as connection:
            return [DueCopy(**row._mapping) for row in connection.execute(query)]

    def under_replicated(self, required: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """(AIP, stores that lack a verified copy of its newest version) for the stores named."""
        lacking: dict[str, list[str]] = {}
        for store in required:
            for aip in self.lacking(store):
                lacking.setdefault(aip, []).append(store)
        yield from ((aip, tuple(stores)) for aip, stores in lacking.items())

    def begin_audit(self, planned: int, now: str) -> AuditRow:
        """Start a run, or resume the last one whose process is gone. Another's that runs is let be."""
        unfinished = select(AUDIT).where(AUDIT.c.finished.is_(None)).order_by(AUDIT.c.id.desc())
        owner = self.owner()
        with self._write() as connection:
            for row in connection.execute(unfinished.with_for_update()).all():
                if row.owner == owner or not self._is_live(connection, row.owner):
                    if row.done >= row.planned:  # cut off after its last copy: nothing to resume
                        ended = sql_update(AUDIT).where(AUDIT.c.id == row.id)
                        connection.execute(ended.values(finished=now))
                        continue
                    mine = sql_update(AUDIT).where(AUDIT.c.id == row.id).values(owner=owner)
                    connection.execute(mine)
                    return AuditRow(**{**row._mapping, "owner": owner})
            values = {"started": now, "planned": planned, "done": 0, "bytes": 0, "wrong": 0, "owner": owner}
            row = connection.execute(insert(AUDIT).values(values).returning(*AUDIT.c)).one()
            return AuditRow(**row._mapping)

    def close_audits(self, now: str) -> None:
        """End runs that were cut off: a new one is to begin at its beginning."""
        me = self.owner()
        with self._write() as connection:
            for row in connection.execute(select(AUDIT).where(AUDIT.c.finished.is_(None))).all():
                if row.owner == me or not self._is_live(connection, row.owner):
                    this = sql_update(AUDIT).where(AUDIT.c.id == row.id)
                    connection.execute(this.values(finished=now))

    def save_audit(self, audit: AuditRow) -> None:
        """Record how far a run has come."""
        values = {
            "finished": audit.finished,
            "done": audit.done,
            "bytes": audit.bytes,
            "wrong": audit.wrong,
        }
        with self._write() as connection:
            connection.execute(sql_update(AUDIT).where(AUDIT.c.id == audit.id).values(values))

    def audits(self, limit: int = 30) -> Iterable[AuditRow]:
        """The latest runs, newest first."""
        query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        with self._transaction() as connection:
            return [AuditRow(**row._mapping) for row in connection.execute(query)]
