"""Files and their names for the search, sums for the dashboard, decisions, progress, accounts.

Files and search words of AIPs registered before are filled in by ``stele store rebuild``; the sums
are made here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_BIG = ("aips", "files", "bytes", "not_valid", "pages", "seconds")


def upgrade() -> None:
    _ingests()
    _files()
    _search()
    _sums()
    _people()


def _ingests() -> None:
    for name in ("agency", "run"):
        op.add_column("ingest", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.create_index("ix_ingest_agency", "ingest", ["agency", "started"])
    op.create_index("ix_ingest_aip", "ingest", ["aip"])
    op.create_index("ix_ingest_started", "ingest", ["started"])
    op.drop_index("ix_ingest_outcome", "ingest")
    op.create_index("ix_ingest_outcome", "ingest", ["outcome", "started"])
    op.create_index("ix_copy_state", "copy", ["store", "state", "aip"])
    wrong = sa.text("store != '' AND (type = 'recovery' OR outcome = 'failure')")
    op.create_index("ix_event_wrong", "event", ["time"], sqlite_where=wrong, postgresql_where=wrong)


def _files() -> None:
    op.create_table(
        "catalogued",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("aip", sa.String(45), sa.ForeignKey("aip.id"), nullable=False, unique=True),
    )
    op.create_table(
        "file",
        sa.Column(
            "number", sa.Integer, sa.ForeignKey("catalogued.number"), primary_key=True,
            autoincrement=False,
        ),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("puid", sa.String(32), nullable=False),
        sa.Column("sha512", sa.LargeBinary(64), nullable=False),
        sa.Column("digest_key", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("ix_file_digest", "file", ["digest_key"])


def _search() -> None:
    op.create_table(
        "search_text",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("number", sa.Integer, sa.ForeignKey("catalogued.number"), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
    )
    op.create_index("ix_search_text_number", "search_text", ["number"])
    if op.get_bind().dialect.name == "postgresql":
        # Our own words, made the same everywhere: no parser and no dictionary of the server's.
        op.execute(
            "ALTER TABLE search_text ADD COLUMN lexemes tsvector "
            "GENERATED ALWAYS AS (array_to_tsvector(string_to_array(words, ' '))) STORED"
        )
        op.execute("CREATE INDEX ix_search_text_lexemes ON search_text USING gin (lexemes)")
        return
    op.execute(
        "CREATE VIRTUAL TABLE search_index USING fts5(words, content='search_text', content_rowid='id', "
        "tokenize='ascii', detail='none', columnsize=0, prefix='2 3')"
    )
    op.execute(
        "CREATE TRIGGER search_text_added AFTER INSERT ON search_text BEGIN "
        "INSERT INTO search_index(rowid, words) VALUES (new.id, new.words); END"
    )
    op.execute(
        "CREATE TRIGGER search_text_removed AFTER DELETE ON search_text BEGIN "
        "INSERT INTO search_index(search_index, rowid, words) VALUES ('delete', old.id, old.words); END"
    )


def _sums() -> None:
    op.create_table(
        "tally",
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("name", sa.String(512), primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("mime", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _BIG),
    )
    op.create_table(
        "copy_tally",
        sa.Column("store", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("copies", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    for kind, name in (("month", "substr(created, 1, 7)"), ("agency", "substr(agency, 1, 512)")):
        op.execute(
            f"INSERT INTO tally SELECT '{kind}', {name}, '', '', count(*), sum(files), sum(bytes), 0, 0, 0 "
            f"FROM aip WHERE state = 'kept' GROUP BY {name}"
        )
    op.execute(
        "INSERT INTO tally SELECT 'format', f.puid, min(f.name), max(f.mime), count(*), sum(f.files), "
        "sum(f.bytes), sum(f.not_valid), sum(f.pages), sum(f.seconds) "
        "FROM format f JOIN aip a ON a.id = f.aip WHERE a.state = 'kept' GROUP BY f.puid"
    )
    op.execute(
        "INSERT INTO copy_tally SELECT c.store, c.state, substr(c.verified, 1, 10), count(*), sum(a.bytes) "
        "FROM copy c JOIN aip a ON a.id = c.aip WHERE a.state = 'kept' "
        "GROUP BY c.store, c.state, substr(c.verified, 1, 10)"
    )


def _people() -> None:
    op.create_table(
        "decision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("ingest", sa.String(40), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("person", "reason")),
        sa.Column("time", sa.String(32), nullable=False),
        sa.Column("found", sa.Text, nullable=False),
    )
    op.create_index("ix_decision_ingest", "decision", ["ingest"])
    op.create_table(
        "progress",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("files", "bytes", "total_files", "total_bytes")
        ),
        sa.Column("seconds_left", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("updated", sa.String(32), nullable=False),
    )
    op.create_table(
        "account",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
    )
    op.create_table(
        "login",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("expires", sa.String(32), nullable=False),
    )
    op.create_index("ix_login_account", "login", ["account"])


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        op.execute("DROP TABLE search_index")
    for table in ("login", "account", "progress", "decision", "copy_tally", "tally", "search_text"):
        op.drop_table(table)
    for table in ("file", "catalogued"):
        op.drop_table(table)
    op.drop_index("ix_copy_state", "copy")
    op.drop_index("ix_event_wrong", "event")
    for name in ("agency", "aip", "started", "outcome"):
        op.drop_index(f"ix_ingest_{name}", "ingest")
    op.create_index("ix_ingest_outcome", "ingest", ["outcome"])
    with op.batch_alter_table("ingest") as batch:
        for name in ("agency", "run"):
            batch.drop_column(name)
