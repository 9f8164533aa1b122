"""Leases with heartbeats, versions on their way, every attempt at a submission, journaled decisions."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.drop_table("worker")  # heartbeats of processes that have to be restarted for this release anyway
    op.create_table(
        "process",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("heartbeat", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "lease",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("resource", sa.Text, nullable=False, unique=True),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "planned_version",
        sa.Column("aip", sa.String(45), sa.ForeignKey("aip.id"), primary_key=True),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("inventory_sha512", sa.String(128), nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("store", sa.String(64), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
    )
    op.create_table(
        "attempt",
        sa.Column("ingest", sa.String(40), sa.ForeignKey("ingest.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("finished", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("receipt", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
    )
    # Updates of AIPs used rows of submissions as their lock.
    op.execute("DELETE FROM ingest WHERE subject LIKE 'update of urn:uuid:%' AND report IN ('', '{}')")
    op.execute(
        "INSERT INTO attempt (ingest, number, outcome, owner, started, finished, reason, receipt, run) "
        "SELECT id, attempts, outcome, owner, started, COALESCE(finished, ''), '', '', run FROM ingest"
    )
    op.add_column("version", sa.Column("request", sa.String(64), nullable=False, server_default=""))
    op.add_column("audit", sa.Column("owner", sa.String(255), nullable=False, server_default=""))
    # None was ever written to storage before: all go with the next journal.
    op.add_column("decision", sa.Column("journaled", sa.Boolean, nullable=False, server_default=sa.true()))
    op.execute(sa.text("UPDATE decision SET journaled = :no").bindparams(no=False))


def downgrade() -> None:
    op.drop_column("decision", "journaled")
    op.drop_column("audit", "owner")
    op.drop_column("version", "request")
    for table in ("attempt", "planned_version", "lease", "process"):
        op.drop_table(table)
    op.create_table(
        "worker",
        sa.Column("owner", sa.String(255), primary_key=True),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
    )
