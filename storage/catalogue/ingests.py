"""Submissions on their way: who works on which, and how each ended."""

from __future__ import annotations

from sqlalchemy import delete, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from storage.catalogue.rows import IngestRow
from storage.catalogue.tables import INGEST
from storage.catalogue.workers import Workers
from storage.errors import Busy

RUNNING = "running"


class IngestRecords(Workers):
    """One row a submission."""

    def begin_ingest(self, ingest_id: str, subject: str, agreement: str, now: str) -> int:
        """Take the submission for this process; the number of this attempt (1 = the first).

        Raises Busy while another live process of this machine holds it.
        """
        owner = self.owner()
        with self._transaction() as connection:
            row = connection.execute(select(INGEST).where(INGEST.c.id == ingest_id)).first()
            if row is None:
                values = {
                    "id": ingest_id, "subject": subject, "agreement": agreement,
                    "outcome": RUNNING, "owner": owner, "attempts": 1, "started": now, "report": "",
                }  # fmt: skip
                try:
                    connection.execute(insert(INGEST).values(values))
                except IntegrityError:
                    raise Busy(subject, "another process that began this moment") from None
                return 1
            if row.outcome == RUNNING and row.owner != owner and self._alive(row.owner):
                raise Busy(subject, row.owner)
            taken = connection.execute(
                sql_update(INGEST)
                .where(INGEST.c.id == ingest_id)
                .where(INGEST.c.owner == row.owner, INGEST.c.attempts == row.attempts)
                .values(
                    outcome=RUNNING,
                    owner=owner,
                    attempts=row.attempts + 1,
                    subject=subject,
                    started=now,
                )
            )
            if taken.rowcount == 0:
                raise Busy(subject, "another process that began this moment")
            return int(row.attempts) + 1

    def finish_ingest(
        self,
        ingest_id: str,
        *,
        subject: str,
        agreement: str,
        outcome: str,
        aip: str | None,
        now: str,
        report: str,
        agency: str = "",
        run: str = "",
        instead_of: str = "",
    ) -> None:
        """Record how it ended, also where it never began because nothing could be made of it.

        ``report`` is the JSON of the result; ``run`` is where it could be watched. ``instead_of``
        is under which number the same submission failed before it could say what it is.
        """
        end = {"outcome": outcome, "aip": aip, "finished": now, "report": report}
        end |= {"agency": agency, "run": run}
        with self._transaction() as connection:
            if instead_of and instead_of != ingest_id:
                connection.execute(delete(INGEST).where(INGEST.c.id == instead_of))
            known = connection.execute(
                sql_update(INGEST).where(INGEST.c.id == ingest_id).values(subject=subject, **end)
            )
            if known.rowcount == 0:
                start = {"id": ingest_id, "subject": subject, "agreement": agreement, "started": now}
                connection.execute(insert(INGEST).values(owner=self.owner(), attempts=1, **start, **end))

    def ingest(self, ingest_id: str) -> IngestRow | None:
        """One submission's record."""
        with self._transaction() as connection:
            row = connection.execute(select(INGEST).where(INGEST.c.id == ingest_id)).first()
        return IngestRow(**row._mapping) if row else None
