"""How far running ingests are: written every few seconds by who works, read by who watches."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, select

from storage.catalogue.database import put_row
from storage.catalogue.repository import Repository
from storage.catalogue.rows import ProgressRow
from storage.catalogue.tables import PROGRESS


class ProgressRecords(Repository):
    """One row a running ingest."""

    def put(self, row: ProgressRow) -> None:
        """Insert or update the progress row."""
        with self._database.write() as connection:
            put_row(connection, PROGRESS, asdict(row))

    def end(self, progress_id: str) -> None:
        """Delete it."""
        with self._database.write() as connection:
            connection.execute(delete(PROGRESS).where(PROGRESS.c.id == progress_id))

    def running(self) -> list[ProgressRow]:
        """What runs now, the longest first; rows of processes that died are removed."""
        with self._database.transaction() as connection:
            rows = connection.execute(select(PROGRESS).order_by(PROGRESS.c.started)).all()
            dead = [row.id for row in rows if not self._database.is_live(connection, row.owner)]
        if dead:
            with self._database.write() as connection:
                connection.execute(delete(PROGRESS).where(PROGRESS.c.id.in_(dead)))
        return [ProgressRow(**row._mapping) for row in rows if row.id not in dead]
