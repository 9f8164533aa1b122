"""What people decided about held submissions. Nothing here is ever changed: the last word counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, and_, func, insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.ingests import RUNNING, IngestRecords
from storage.catalogue.rows import DecisionRow, SubmissionRow
from storage.catalogue.tables import DECISION, DELIVERY, INGEST

DECIDED = "decided"
"""A held delivery about which somebody has decided: the next nightly run takes it again."""


class DecisionRecords(IngestRecords):
    """One row a decision; and submissions by how they ended."""

    def add_decision(self, row: DecisionRow, *, releases: bool) -> None:
        """Record it, durably. ``releases``: the next nightly run takes deliveries of it again."""
        values = {name: value for name, value in asdict(row).items() if name not in ("id", "journaled")}
        with self._write(durable=True) as connection:
            connection.execute(insert(DECISION).values(journaled=False, **values))
            if releases:
                subject = select(INGEST.c.subject).where(INGEST.c.id == row.ingest).scalar_subquery()
                held = (DELIVERY.c.path == subject) & (DELIVERY.c.outcome == "in-review")
                connection.execute(sql_update(DELIVERY).where(held).values(outcome=DECIDED))

    def decisions(self, ingest: str) -> tuple[DecisionRow, ...]:
        """All about one submission, oldest first."""
        query = select(DECISION).where(DECISION.c.ingest == ingest).order_by(DECISION.c.id)
        with self._transaction() as connection:
            return tuple(DecisionRow(**row._mapping) for row in connection.execute(query))

    def not_journaled_decisions(self) -> list[DecisionRow]:
        """Decisions that storage does not know yet."""
        query = select(DECISION).where(~DECISION.c.journaled).order_by(DECISION.c.id).limit(1000)
        with self._transaction() as connection:
            return [DecisionRow(**row._mapping) for row in connection.execute(query)]

    def mark_decisions_journaled(self, numbers: Collection[int]) -> None:
        """These decisions are in storage now."""
        with self._write() as connection:
            these = sql_update(DECISION).where(DECISION.c.id.in_(numbers))
            connection.execute(these.values(journaled=True))

    def restore_decision(self, row: DecisionRow) -> None:
        """What the journal tells, for a catalogue that is rebuilt; a decision that is known is left."""
        facts = (row.ingest, row.verdict, row.person, row.time)
        columns = (DECISION.c.ingest, DECISION.c.verdict, DECISION.c.person, DECISION.c.time)
        same = and_(*(column == fact for column, fact in zip(columns, facts, strict=True)))
        values = {name: value for name, value in asdict(row).items() if name not in ("id", "journaled")}
        with self._write() as connection:
            if connection.execute(select(DECISION.c.id).where(same)).first() is None:
                connection.execute(insert(DECISION).values(journaled=True, **values))

    def submissions(
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
        with self._transaction() as connection:
            rows = connection.execute(query.limit(limit).offset(skip))
            return [SubmissionRow(**row._mapping) for row in rows]

    def count_submissions(self, outcome: str, *, since: str = "") -> int:
        """How many ended so, of those begun since then."""
        query = select(func.count()).select_from(INGEST).where(INGEST.c.outcome == outcome)
        if since:
            query = query.where(INGEST.c.started >= since)
        with self._transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def dead_submissions(self) -> list[SubmissionRow]:
        """Those whose process died on the way: the next run of the same finishes them."""
        query = _submissions().add_columns(INGEST.c.owner).where(INGEST.c.outcome == RUNNING)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [SubmissionRow(*row[:-1]) for row in rows if not self._alive(row.owner)]


def _submissions() -> Select[Any]:
    wanted = ("id", "subject", "agreement", "agency", "outcome", "aip", "started", "finished", "run")
    return select(*(INGEST.c[name] for name in wanted))
