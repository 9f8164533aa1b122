"""Submissions: who works on which, every attempt, and how each ended."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.repository import Repository
from storage.catalogue.rows import AttemptRow, IngestRow, SubmissionRow
from storage.catalogue.tables import ATTEMPT, INGEST
from storage.states import AttemptState, Outcome

_REVISES_STORED = (Outcome.STORED, Outcome.IN_REVIEW)
"""What may follow “stored”: the AIP was removed, and the records were sent again. Anything else that a
later attempt comes to (duplicate, failed, rejected) is that attempt's, and takes nothing back."""


class SubmissionRecords(Repository):
    """One row a submission, one more for each attempt at it."""

    def begin(self, ingest_id: str, subject: str, agreement: str, now: str) -> tuple[int, bool]:
        """Record that a new attempt begins: its number (1 = the first), and whether the one before
        was interrupted and has told nobody how it ended.

        The caller holds the lease on the AIP that the submission becomes, so no other attempt runs.
        """
        owner = self._database.owner()
        with self._database.write() as connection:
            row = connection.execute(select(INGEST).where(INGEST.c.id == ingest_id)).first()
            number = int(row.attempts) + 1 if row else 1
            values = {"subject": subject, "owner": owner, "attempts": number, "started": now}
            if row is None:
                fresh = {
                    "id": ingest_id,
                    "agreement": agreement,
                    "outcome": AttemptState.RUNNING,
                    "report": "",
                }
                connection.execute(insert(INGEST).values(values | fresh))
            else:
                if row.outcome == Outcome.STORED:  # stays what it is, whatever becomes of this attempt
                    values = {"owner": owner, "attempts": number}
                else:
                    values["outcome"] = AttemptState.RUNNING
                connection.execute(sql_update(INGEST).where(INGEST.c.id == ingest_id).values(values))
            running = (ATTEMPT.c.ingest == ingest_id) & (ATTEMPT.c.outcome == AttemptState.RUNNING)
            closed = {"outcome": AttemptState.INTERRUPTED, "finished": now, "receipt": ""}
            interrupted = connection.execute(sql_update(ATTEMPT).where(running).values(closed)).rowcount
            start = {"outcome": AttemptState.RUNNING, "owner": owner, "started": now, "finished": ""}
            empty = {"reason": "", "receipt": "", "run": ""}
            connection.execute(
                insert(ATTEMPT).values({"ingest": ingest_id, "number": number, **start, **empty})
            )
            untold = row is not None and row.outcome == AttemptState.RUNNING
            return number, bool(interrupted) and untold

    def finish(
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
        reason: str = "",
        receipt: str = "",
        attempt: int = 0,
        supersedes_id: str = "",
    ) -> None:
        """Record how an attempt ended, also where it never began because nothing could be made of it.

        Durable on return. ``report`` is the JSON of the result; ``run`` is where it could be watched;
        ``attempt`` is its number, 0 = one that was not begun. ``supersedes_id`` is under which id the
        same submission failed before it could say what it is.
        """
        owner = self._database.owner()
        end = {"outcome": outcome, "aip": aip, "finished": now, "report": report}
        end |= {"agency": agency, "run": run}
        with self._database.write(durable=True) as connection:
            if supersedes_id and supersedes_id != ingest_id:
                connection.execute(delete(ATTEMPT).where(ATTEMPT.c.ingest == supersedes_id))
                connection.execute(delete(INGEST).where(INGEST.c.id == supersedes_id))
            row = connection.execute(select(INGEST).where(INGEST.c.id == ingest_id)).first()
            number = attempt or (int(row.attempts) + 1 if row else 1)
            if row is None:
                start = {"id": ingest_id, "subject": subject, "agreement": agreement, "started": now}
                connection.execute(insert(INGEST).values(owner=owner, attempts=number, **start, **end))
            elif row.outcome == Outcome.STORED and outcome not in _REVISES_STORED:
                counted = sql_update(INGEST).where(INGEST.c.id == ingest_id)
                connection.execute(counted.values(attempts=max(number, int(row.attempts))))
            else:
                mine = sql_update(INGEST).where(INGEST.c.id == ingest_id)
                attempts = max(number, int(row.attempts))
                connection.execute(mine.values(subject=subject, attempts=attempts, **end))
            told = {"outcome": outcome, "finished": now, "reason": reason[:2000], "receipt": receipt}
            told["run"] = run
            this = (ATTEMPT.c.ingest == ingest_id) & (ATTEMPT.c.number == number)
            if connection.execute(sql_update(ATTEMPT).where(this).values(told)).rowcount == 0:
                fresh = {"ingest": ingest_id, "number": number, "owner": owner, "started": now}
                connection.execute(insert(ATTEMPT).values({**fresh, **told}))

    def get(self, ingest_id: str) -> IngestRow | None:
        """One submission's record."""
        with self._database.transaction() as connection:
            row = connection.execute(select(INGEST).where(INGEST.c.id == ingest_id)).first()
        return IngestRow(**row._mapping) if row else None

    def starting_with(self, prefix: str, *, limit: int = 2) -> tuple[str, ...]:
        """The numbers of submissions that begin so."""
        query = select(INGEST.c.id).where(INGEST.c.id.startswith(prefix, autoescape=True))
        with self._database.transaction() as connection:
            return tuple(connection.execute(query.order_by(INGEST.c.id).limit(limit)).scalars())

    def attempts(self, ingest_id: str) -> tuple[AttemptRow, ...]:
        """Every attempt at a submission, oldest first."""
        columns = [column for column in ATTEMPT.c if column.name != "ingest"]
        query = select(*columns).where(ATTEMPT.c.ingest == ingest_id).order_by(ATTEMPT.c.number)
        with self._database.transaction() as connection:
            return tuple(AttemptRow(**row._mapping) for row in connection.execute(query))

    def latest(
        self,
        outcomes: Collection[str] = (),
        *,
        agency: str = "",
        aip: str = "",
        since: str = "",
        limit: int = 100,
        skip: int = 0,
    ) -> list[SubmissionRow]:
        """Submissions that ended so, latest begun first; ``since`` is when they began."""
        query = _submissions()
        if outcomes:
            query = query.where(INGEST.c.outcome.in_(outcomes))
        if agency:
            query = query.where(INGEST.c.agency == agency)
        if aip:
            query = query.where(INGEST.c.aip == aip)
        if since:
            query = query.where(INGEST.c.started >= since)
        query = query.order_by(INGEST.c.started.desc())
        with self._database.transaction() as connection:
            rows = connection.execute(query.limit(limit).offset(skip))
            return [SubmissionRow(**row._mapping) for row in rows]

    def count(self, outcome: str, *, since: str = "") -> int:
        """How many ended so, of those begun since then."""
        query = select(func.count()).select_from(INGEST).where(INGEST.c.outcome == outcome)
        if since:
            query = query.where(INGEST.c.started >= since)
        with self._database.transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def interrupted(self) -> list[SubmissionRow]:
        """Those whose process died on the way: the next run of the same finishes them."""
        query = _submissions().add_columns(INGEST.c.owner).where(INGEST.c.outcome == AttemptState.RUNNING)
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return [SubmissionRow(*row[:-1]) for row in rows if not self._database.is_alive(row.owner)]


def _submissions() -> Select[Any]:
    wanted = ("id", "subject", "agreement", "agency", "outcome", "aip", "started", "finished", "run")
    return select(*(INGEST.c[name] for name in wanted))
