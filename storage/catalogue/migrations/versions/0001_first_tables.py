"""First tables: ingests, AIPs, their copies, formats and events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "ingest",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("aip", sa.String(45)),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("finished", sa.String(32)),
        sa.Column("report", sa.Text, nullable=False),
    )
    op.create_table(
        "aip",
        sa.Column("id", sa.String(45), primary_key=True),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("agency", sa.Text, nullable=False),
        sa.Column("external_identifier", sa.Text, nullable=False),
        sa.Column("content_digest", sa.String(128), nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("inventory_sha512", sa.String(128), nullable=False),
    )
    op.create_table(
        "copy",
        sa.Column("aip", sa.String(45), sa.ForeignKey("aip.id"), primary_key=True),
        sa.Column("store", sa.String(64), primary_key=True),
        sa.Column("version", sa.String(16), nullable=False),
        sa.Column("verified", sa.String(32), nullable=False),
    )
    op.create_table(
        "format",
        sa.Column("aip", sa.String(45), sa.ForeignKey("aip.id"), primary_key=True),
        sa.Column("puid", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("aip", sa.String(45), sa.ForeignKey("aip.id"), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("time", sa.String(32), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("ix_event_aip", "event", ["aip"])
    op.create_index("ix_aip_agency", "aip", ["agency"])
    op.create_index("ix_ingest_outcome", "ingest", ["outcome"])


def downgrade() -> None:
    for table in ("event", "format", "copy", "aip", "ingest"):
        op.drop_table(table)
