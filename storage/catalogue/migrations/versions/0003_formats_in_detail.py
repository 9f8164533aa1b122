"""Of each format: how many files were found to be unsound, its media type, pages and seconds."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("not_valid", "pages", "seconds"):
        op.add_column("format", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("format", sa.Column("mime", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("format") as batch:
        for name in ("not_valid", "pages", "seconds", "mime"):
            batch.drop_column(name)
