"""Audit runs: what each planned, read and found."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.repository import Repository
from storage.catalogue.rows import AuditRow
from storage.catalogue.tables import AUDIT


class AuditRecords(Repository):
    """One row a run."""

    def begin(self, planned: int, now: str) -> AuditRow:
        """Start a run, or resume the last one whose process is gone. Another's that runs is let be."""
        unfinished = select(AUDIT).where(AUDIT.c.finished.is_(None)).order_by(AUDIT.c.id.desc())
        owner = self._database.owner()
        with self._database.write() as connection:
            for row in connection.execute(unfinished.with_for_update()).all():
                if row.owner == owner or not self._database.is_live(connection, row.owner):
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

    def close_all(self, now: str) -> None:
        """End runs that were cut off: a new one is to begin at its beginning."""
        me = self._database.owner()
        with self._database.write() as connection:
            for row in connection.execute(select(AUDIT).where(AUDIT.c.finished.is_(None))).all():
                if row.owner == me or not self._database.is_live(connection, row.owner):
                    this = sql_update(AUDIT).where(AUDIT.c.id == row.id)
                    connection.execute(this.values(finished=now))

    def save(self, audit: AuditRow) -> None:
        """Record how far a run has come."""
        values = {
            "finished": audit.finished,
            "done": audit.done,
            "bytes": audit.bytes,
            "wrong": audit.wrong,
        }
        with self._database.write() as connection:
            connection.execute(sql_update(AUDIT).where(AUDIT.c.id == audit.id).values(values))

    def latest(self, limit: int = 30) -> Iterable[AuditRow]:
        """The latest runs, newest first."""
        query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        with self._database.transaction() as connection:
            return [AuditRow(**row._mapping) for row in connection.execute(query)]
