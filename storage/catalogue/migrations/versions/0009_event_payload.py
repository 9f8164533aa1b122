"""Events say what happened twice: a note for people, a payload for programs."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("event", sa.Column("payload", sa.Text(), nullable=False, server_default=""))
    event = _event()
    json_notes = event.c.note.like("{%") & (event.c.store != "")
    op.execute(sa.update(event).where(json_notes).values(payload=event.c.note, note=""))


def downgrade() -> None:
    event = _event()
    op.execute(sa.update(event).where(event.c.payload != "").values(note=event.c.payload))
    op.drop_column("event", "payload")


def _event() -> sa.TableClause:
    return sa.table("event", *(sa.column(name, sa.Text) for name in ("note", "payload", "store")))
