"""The catalogue's tables. Changes need a migration in ``migrations/versions``."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    false,
    true,
)

from storage.catalogue.plain_text import PlainText

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

INGEST = Table(
    "ingest",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("subject", PlainText, nullable=False),
    Column("agreement", PlainText, nullable=False),
    Column("outcome", String(16), nullable=False),  # also "running"
    Column("aip", String(45)),
    Column("owner", PlainText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("started", String(32), nullable=False),
    Column("finished", String(32)),
    Column("report", PlainText, nullable=False),
    Column("agency", PlainText, nullable=False, server_default=""),
    Column("run", PlainText, nullable=False, server_default=""),  # where it can be watched: a flow run's id
)
DELIVERY = Table(
    "delivery",
    METADATA,
    Column("id", String(64), primary_key=True),  # fingerprint of path, names, sizes and times
    Column("path", PlainText, nullable=False),
    Column("agency", PlainText, nullable=False),
    Column("outcome", String(16), nullable=False, index=True),  # also "running"
    Column("aip", String(45)),
    Column("owner", PlainText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("started", String(32), nullable=False),
    Column("finished", String(32), nullable=False),
    Column("reason", PlainText, nullable=False),
)
NIGHTLY_RUN = Table(
    "nightly_run",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("owner", PlainText, nullable=False),
    Column("started", String(32), nullable=False, index=True),
    Column("finished", String(32), nullable=False),  # "" while it runs, or when it died
    Column("report", PlainText, nullable=False),  # JSON
)
AIP = Table(
    "aip",
    METADATA,
    Column("id", String(45), primary_key=True),
    Column("version", String(16), nullable=False),
    Column("title", PlainText, nullable=False),
    Column("agreement", PlainText, nullable=False),
    Column("agency", PlainText, nullable=False),
    Column("external_identifier", PlainText, nullable=False),
    Column("content_digest", String(128), nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", String(32), nullable=False),
    Column("inventory_sha512", String(128), nullable=False),
    Column("state", String(16), nullable=False, server_default="kept"),  # or "removed"
    Column("retain_until", String(32), nullable=False, server_default=""),  # "" = no date was agreed
)
VERSION = Table(
    "version",
    METADATA,
    Column("aip", String(45), ForeignKey("aip.id"), primary_key=True),
    Column("version", String(16), primary_key=True),
    Column("created", String(32), nullable=False),
    Column("message", PlainText, nullable=False),
    Column("inventory_sha512", String(128), nullable=False),
    Column("request", String(64), nullable=False, server_default=""),  # see planned_version
)
COPY = Table(
    "copy",
    METADATA,
    Column("aip", String(45), ForeignKey("aip.id"), primary_key=True),
    Column("store", String(64), primary_key=True),
    Column("version", String(16), nullable=False),
    Column("verified", String(32), nullable=False),  # when every byte was last seen right; "" = never
    Column("state", String(16), nullable=False, server_default="verified"),
    Column("detail", PlainText, nullable=False, server_default=""),
    Column("last_checked", String(32), nullable=False, server_default=""),  # last read, whatever was found
)
FORMAT = Table(
    "format",
    METADATA,
    Column("aip", String(45), ForeignKey("aip.id"), primary_key=True),
    Column("puid", String(32), primary_key=True),  # "unknown" where PRONOM has none
    Column("name", PlainText, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("not_valid", BigInteger, nullable=False, server_default="0"),
    Column("mime", PlainText, nullable=False, server_default=""),
    Column("pages", BigInteger, nullable=False, server_default="0"),
    Column("seconds", BigInteger, nullable=False, server_default="0"),
)
EVENT = Table(
    "event",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("aip", String(45), ForeignKey("aip.id"), nullable=False, index=True),
    Column("type", String(64), nullable=False),
    Column("time", String(32), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("detail", PlainText, nullable=False),
    Column("note", PlainText, nullable=False),
    Column("payload", PlainText, nullable=False, server_default=""),  # the same for programs, as JSON
    Column("store", String(64), nullable=False, server_default=""),  # of events after the ingest
    Column("journaled", Boolean, nullable=False, server_default=true()),  # also written to storage
)
AUDIT = Table(
    "audit",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("started", String(32), nullable=False),
    Column("finished", String(32)),
    Column("planned", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("owner", String(255), nullable=False, server_default=""),
)
HOLD = Table(
    "hold",
    METADATA,
    Column("aip", String(45), ForeignKey("aip.id"), primary_key=True),
    Column("reason", PlainText, nullable=False),
    Column("person", PlainText, nullable=False),
    Column("since", String(32), nullable=False),
)
REMOVAL = Table(
    "removal",
    METADATA,
    Column("aip", String(45), ForeignKey("aip.id"), primary_key=True),
    Column("reason", PlainText, nullable=False),
    Column("requested_by", PlainText, nullable=False),
    Column("requested", String(32), nullable=False),
    Column("approved_by", PlainText, nullable=False, server_default=""),
    Column("removed", String(32), nullable=False, server_default=""),
)
CATALOGUED = Table(
    "catalogued",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),  # short, in the order they came
    Column("aip", String(45), ForeignKey("aip.id"), nullable=False, unique=True),
)
FILE = Table(
    "file",
    METADATA,
    Column("number", Integer, ForeignKey("catalogued.number"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("path", PlainText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("puid", String(32), nullable=False),
    Column("sha512", LargeBinary(64), nullable=False),
    Column("digest_key", BigInteger, nullable=False),  # its first eight bytes: a small index
    sqlite_with_rowid=False,
)
SEARCH = Table(
    "search_text",  # its index, FTS5 or GIN, is made by the migration
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("number", Integer, ForeignKey("catalogued.number"), nullable=False, index=True),
    Column("words", PlainText, nullable=False),
)
TALLY = Table(
    "tally",  # sums over the AIPs that are kept, so that no page has to add up a million rows
    METADATA,
    Column("kind", String(8), primary_key=True),  # month, agency, format
    Column("name", String(512), primary_key=True),
    Column("label", PlainText, nullable=False),
    Column("mime", PlainText, nullable=False),
    Column("aips", BigInteger, nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("not_valid", BigInteger, nullable=False),
    Column("pages", BigInteger, nullable=False),
    Column("seconds", BigInteger, nullable=False),
)
COPY_TALLY = Table(
    "copy_tally",  # the same for copies, by the day they were last verified
    METADATA,
    Column("store", String(64), primary_key=True),
    Column("state", String(16), primary_key=True),
    Column("day", String(10), primary_key=True),  # "" = never
    Column("copies", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
DECISION = Table(
    "decision",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("ingest", String(40), nullable=False, index=True),
    Column("verdict", String(16), nullable=False),
    Column("person", PlainText, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("time", String(32), nullable=False),
    Column("found", PlainText, nullable=False),  # JSON: what was known when it was made
    Column("journaled", Boolean, nullable=False, server_default=true()),  # also written to storage
)
PROGRESS = Table(
    "progress",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("subject", PlainText, nullable=False),
    Column("stage", String(32), nullable=False),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("total_files", BigInteger, nullable=False),  # 0 = not known yet
    Column("total_bytes", BigInteger, nullable=False),
    Column("seconds_left", Integer, nullable=False),  # of this stage; -1 = not known
    Column("owner", PlainText, nullable=False),
    Column("started", String(32), nullable=False),
    Column("updated", String(32), nullable=False),
)
ACCOUNT = Table(
    "account",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", PlainText, nullable=False),  # a salted hash
    Column("created", String(32), nullable=False),
)
LOGIN = Table(
    "login",
    METADATA,
    Column("token", String(64), primary_key=True),  # SHA-256 of what the browser holds
    Column("account", String(64), nullable=False, index=True),
    Column("expires", String(32), nullable=False),
)
PROCESS = Table(
    "process",
    METADATA,
    Column("owner", String(255), primary_key=True),
    Column("host", PlainText, nullable=False),  # for people; never compared
    Column("heartbeat", BigInteger, nullable=False),  # milliseconds since 1970 by the database's clock
)
LEASE = Table(
    "lease",
    METADATA,
    # The fencing number: it only grows, so it is never given out twice.
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("resource", PlainText, nullable=False, unique=True),
    Column("owner", String(255), nullable=False),
    Column("purpose", PlainText, nullable=False),
    Column("since", String(32), nullable=False),
    sqlite_autoincrement=True,
)
PLANNED_VERSION = Table(
    "planned_version",  # written before a store commits a new version, deleted when it is registered
    METADATA,
    Column("aip", String(45), ForeignKey("aip.id"), primary_key=True),
    Column("version", String(16), nullable=False),
    Column("inventory_sha512", String(128), nullable=False),
    Column("created", String(32), nullable=False),
    Column("message", PlainText, nullable=False),
    Column("store", String(64), nullable=False),
    Column("request", String(64), nullable=False),  # what was asked for, so that asking again is noticed
)
ATTEMPT = Table(
    "attempt",
    METADATA,
    Column("ingest", String(40), ForeignKey("ingest.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("outcome", String(16), nullable=False),  # also "running"
    Column("owner", String(255), nullable=False),
    Column("started", String(32), nullable=False),
    Column("finished", String(32), nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("receipt", PlainText, nullable=False),
    Column("run", PlainText, nullable=False),
)
Index("ix_aip_agency", AIP.c.agency)
Index("ix_copy_state", COPY.c.store, COPY.c.state, COPY.c.aip)
Index("ix_file_digest", FILE.c.digest_key)
Index("ix_ingest_agency", INGEST.c.agency, INGEST.c.started)
Index("ix_ingest_aip", INGEST.c.aip)
Index("ix_ingest_started", INGEST.c.started)
Index("ix_copy_due", COPY.c.store, COPY.c.last_checked)
_WRONG = (EVENT.c.store != "") & ((EVENT.c.type == "recovery") | (EVENT.c.outcome == "failure"))
Index("ix_event_wrong", EVENT.c.time, sqlite_where=_WRONG, postgresql_where=_WRONG)
Index("ix_event_journaled", EVENT.c.journaled, sqlite_where=EVENT.c.journaled == false())
Index("ix_ingest_outcome", INGEST.c.outcome, INGEST.c.started)
