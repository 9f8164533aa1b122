"""What people decided about submissions in review. Nothing here is ever changed: the last word counts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

from sqlalchemy import and_, insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.repository import Repository
from storage.catalogue.rows import DecisionRow
from storage.catalogue.tables import DECISION, DELIVERY, INGEST
from storage.states import AttemptState, Outcome

_NOT_JOURNALED = select(DECISION).where(~DECISION.c.journaled).order_by(DECISION.c.id).limit(1000)


class DecisionRecords(Repository):
    """One row a decision."""

    def add(self, row: DecisionRow, *, releases: bool) -> None:
        """Record it, durably. ``releases``: the next nightly run takes deliveries of it again."""
        values = {name: value for name, value in asdict(row).items() if name not in ("id", "journaled")}
        with self._database.write(durable=True) as connection:
            connection.execute(insert(DECISION).values(journaled=False, **values))
            if releases:
                subject = select(INGEST.c.subject).where(INGEST.c.id == row.ingest).scalar_subquery()
                held = (DELIVERY.c.path == subject) & (DELIVERY.c.outcome == Outcome.IN_REVIEW)
                connection.execute(sql_update(DELIVERY).where(held).values(outcome=AttemptState.DECIDED))

    def of(self, ingest: str) -> tuple[DecisionRow, ...]:
        """All about one submission, oldest first."""
        query = select(DECISION).where(DECISION.c.ingest == ingest).order_by(DECISION.c.id)
        with self._database.transaction() as connection:
            return tuple(DecisionRow(**row._mapping) for row in connection.execute(query))

    def not_journaled(self) -> list[DecisionRow]:
        """Decisions that storage does not know yet."""
        with self._database.transaction() as connection:
            return [DecisionRow(**row._mapping) for row in connection.execute(_NOT_JOURNALED)]

    def mark_journaled(self, numbers: Collection[int]) -> None:
        """These decisions are in storage now."""
        with self._database.write() as connection:
            these = sql_update(DECISION).where(DECISION.c.id.in_(numbers))
            connection.execute(these.values(journaled=True))

    def restore(self, row: DecisionRow) -> None:
        """What the journal tells, for a catalogue that is rebuilt; a decision that is known is left."""
        facts = (row.ingest, row.verdict, row.person, row.time)
        columns = (DECISION.c.ingest, DECISION.c.verdict, DECISION.c.person, DECISION.c.time)
        same = and_(*(column == fact for column, fact in zip(columns, facts, strict=True)))
        values = {name: value for name, value in asdict(row).items() if name not in ("id", "journaled")}
        with self._database.write() as connection:
            if connection.execute(select(DECISION.c.id).where(same)).first() is None:
                connection.execute(insert(DECISION).values(journaled=True, **values))
