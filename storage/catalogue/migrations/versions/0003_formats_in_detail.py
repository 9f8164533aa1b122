"""Of each format: how many files were found to be unsound, and its media type."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("format", sa.Column("not_valid", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("format", sa.Column("mime", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("format") as batch:
        batch.drop_column("not_valid")
        batch.drop_column("mime")
