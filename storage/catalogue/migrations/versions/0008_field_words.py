"""The words of the field: in review, pending copies, nightly runs, last checked."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_VALUES = (
    ("ingest", "outcome", "held", "in-review"),
    ("attempt", "outcome", "held", "in-review"),
    ("delivery", "outcome", "held", "in-review"),
    ("decision", "verdict", "hold", "keep"),
    ("copy", "state", "owed", "pending"),
    ("copy_tally", "state", "owed", "pending"),
)


def upgrade() -> None:
    op.drop_index("ix_copy_due", "copy")
    op.alter_column("copy", "looked", new_column_name="last_checked")
    op.create_index("ix_copy_due", "copy", ["store", "last_checked"])
    op.drop_index("ix_night_started", "night")
    op.rename_table("night", "nightly_run")
    op.create_index("ix_nightly_run_started", "nightly_run", ["started"])
    for table, column, before, now in _VALUES:
        _replace(table, column, before, now)
    _rename_in_reports("holds", "review_reasons", "held", "in-review")


def downgrade() -> None:
    _rename_in_reports("review_reasons", "holds", "in-review", "held")
    for table, column, before, now in _VALUES:
        _replace(table, column, now, before)
    op.drop_index("ix_nightly_run_started", "nightly_run")
    op.rename_table("nightly_run", "night")
    op.create_index("ix_night_started", "night", ["started"])
    op.drop_index("ix_copy_due", "copy")
    op.alter_column("copy", "last_checked", new_column_name="looked")
    op.create_index("ix_copy_due", "copy", ["store", "looked"])


def _replace(table: str, column: str, before: str, now: str) -> None:
    which = sa.table(table, sa.column(column, sa.String))
    op.execute(sa.update(which).where(which.c[column] == before).values({column: now}))


def _rename_in_reports(key: str, new_key: str, outcome: str, new_outcome: str) -> None:
    """What an archivist still has to decide is read from these reports."""
    ingest = sa.table("ingest", sa.column("id", sa.String), sa.column("report", sa.Text))
    connection = op.get_bind()
    found = connection.execute(sa.select(ingest.c.id, ingest.c.report).where(ingest.c.report.contains(key)))
    for number, text in found.all():
        report = json.loads(text)
        if key not in report:
            continue
        report[new_key] = report.pop(key)
        if report.get("outcome") == outcome:
            report["outcome"] = new_outcome
        changed = sa.update(ingest).where(ingest.c.id == number).values(report=json.dumps(report))
        connection.execute(changed)
