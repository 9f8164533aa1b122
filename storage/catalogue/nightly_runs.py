"""Nightly runs: when each started and ended, and its report."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.repository import Repository
from storage.catalogue.rows import NightlyRunRow
from storage.catalogue.tables import NIGHTLY_RUN


class NightlyRunRecords(Repository):
    """One row a run."""

    def begin(self, run: str, now: str) -> None:
        """Record that a nightly run has started."""
        values = {"id": run, "owner": self._database.owner(), "started": now, "finished": "", "report": ""}
        with self._database.write() as connection:
            connection.execute(insert(NIGHTLY_RUN).values(values))

    def finish(self, run: str, now: str, report: str) -> None:
        """Record that it has ended; ``report`` is its JSON."""
        with self._database.write() as connection:
            connection.execute(
                sql_update(NIGHTLY_RUN).where(NIGHTLY_RUN.c.id == run).values(finished=now, report=report)
            )

    def latest(self, most: int = 30) -> tuple[NightlyRunRow, ...]:
        """The last runs, newest first."""
        query = select(NIGHTLY_RUN).order_by(NIGHTLY_RUN.c.started.desc(), NIGHTLY_RUN.c.id).limit(most)
        with self._database.transaction() as connection:
            return tuple(NightlyRunRow(**row._mapping) for row in connection.execute(query))

    def is_alive(self, run: NightlyRunRow) -> bool:
        """Whether a run without an end may still be at work; otherwise it has died."""
        return not run.finished and self._database.is_alive(run.owner)
