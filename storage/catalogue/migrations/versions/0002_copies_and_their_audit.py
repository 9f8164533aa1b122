"""Copies with a state, versions, audits, holds, removals; events after the ingest."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table, column in (
        ("aip", sa.Column("state", sa.String(16), nullable=False, server_default="kept")),
        ("aip", sa.Column("retain_until", sa.String(32), nullable=False, server_default="")),
        ("copy", sa.Column("state", sa.String(16), nullable=False, server_default="verified")),
        ("copy", sa.Column("detail", sa.Text, nullable=False, server_default="")),
        ("copy", sa.Column("looked", sa.String(32), nullable=False, server_default="")),
        ("event", sa.Column("store", sa.String(64), nullable=False, server_default="")),
        ("event", sa.Column("journaled", sa.Boolean, nullable=False, server_default=sa.true())),
    ):
        op.add_column(table, column)
    op.execute("UPDATE copy SET looked = verified")
    op.create_table(
        "version",
        sa.Column("aip", sa.String(45), sa.ForeignKey("aip.id"), primary_key=True),
        sa.Column("version", sa.String(16), primary_key=True),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("inventory_sha512", sa.String(128), nullable=False),
    )
    op.execute(
        "INSERT INTO version (aip, version, created, message, inventory_sha512) "
        "SELECT id, version, created, '', inventory_sha512 FROM aip"
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("finished", sa.String(32)),
        sa.Column("planned", sa.Integer, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("wrong", sa.Integer, nullable=False),
    )
    op.create_table(
        "hold",
        sa.Column("aip", sa.String(45), sa.ForeignKey("aip.id"), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
    )
    op.create_table(
        "removal",
        sa.Column("aip", sa.String(45), sa.ForeignKey("aip.id"), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested", sa.String(32), nullable=False),
        sa.Column("approved_by", sa.Text, nullable=False, server_default=""),
        sa.Column("removed", sa.String(32), nullable=False, server_default=""),
    )
    op.create_index("ix_copy_due", "copy", ["store", "looked"])
    op.create_index("ix_event_journaled", "event", ["journaled"], sqlite_where=sa.text("journaled = 0"))


def downgrade() -> None:
    op.drop_index("ix_event_journaled", "event")
    op.drop_index("ix_copy_due", "copy")
    for table in ("removal", "hold", "audit", "version"):
        op.drop_table(table)
    for table, column in (
        ("event", "journaled"),
        ("event", "store"),
        ("copy", "looked"),
        ("copy", "detail"),
        ("copy", "state"),
        ("aip", "retain_until"),
        ("aip", "state"),
    ):
        op.drop_column(table, column)
