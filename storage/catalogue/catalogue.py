"""Reading and writing the catalogue. Callers see frozen rows, never SQL."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, delete, event, func, insert, select
from sqlalchemy import inspect as inspect_database
from sqlalchemy import text as sql_text
from sqlalchemy import update as sql_update
from sqlalchemy.exc import DBAPIError, IntegrityError

from storage.catalogue.tables import AIP, COPY, EVENT, FORMAT, INGEST
from storage.errors import Busy, StoreUnavailable

_HEAD = "0001"
RUNNING = "running"
_FOREIGN_OWNER_BELIEVED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AipRow:
    """One AIP as the catalogue knows it. ``files`` and ``bytes`` count the content only."""

    id: str
    version: str
    title: str
    agreement: str
    agency: str
    external_identifier: str
    content_digest: str
    files: int
    bytes: int
    created: str
    inventory_sha512: str


@dataclass(frozen=True, slots=True)
class FormatCount:
    """How many files and bytes of one format an AIP holds; ``puid`` may be ``unknown``."""

    puid: str
    name: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """A PREMIS event in short. ``time`` is RFC 3339 in UTC."""

    id: str
    type: str
    time: str
    outcome: str
    detail: str
    note: str


@dataclass(frozen=True, slots=True)
class IngestRow:
    """One submission's way through; ``report`` is the JSON of the receipt."""

    id: str
    subject: str
    agreement: str
    outcome: str
    aip: str | None
    owner: str
    attempts: int
    started: str
    finished: str | None
    report: str


class Catalogue:
    """A database by SQLAlchemy URL; SQLite files are opened in WAL mode."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _sqlite_pragmas)

    def migrate(self) -> None:
        """Bring the schema up to date; a no-op when it is."""
        with self._transaction() as connection:
            if _schema_version(connection) == _HEAD:
                return
            from alembic import command  # a second to import, needed once in a lifetime
            from alembic.config import Config

            config = Config()
            folder = Path(str(files("storage.catalogue").joinpath("migrations")))
            config.set_main_option("script_location", str(folder))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def begin_ingest(self, ingest_id: str, subject: str, agreement: str, now: str) -> int:
        """Take the submission for this process; the number of this attempt (1 = the first).

        Raises Busy while another live process of this machine holds it.
        """
        owner = _owner()
        with self._transaction() as connection:
            row = connection.execute(select(INGEST).where(INGEST.c.id == ingest_id)).first()
            if row is None:
                values = {
                    "id": ingest_id, "subject": subject, "agreement": agreement,
                    "outcome": RUNNING, "owner": owner, "attempts": 1, "started": now, "report": "",
                }  # fmt: skip
                try:
                    connection.execute(insert(INGEST).values(values))
                except IntegrityError:
                    raise Busy(subject, "another process that began this moment") from None
                return 1
            if row.outcome == RUNNING and row.owner != owner and self._alive(row, now):
                raise Busy(subject, row.owner)
            connection.execute(
                sql_update(INGEST)
                .where(INGEST.c.id == ingest_id)
                .values(
                    outcome=RUNNING,
                    owner=owner,
                    attempts=row.attempts + 1,
                    subject=subject,
                    started=now,
                )
            )
            return int(row.attempts) + 1

    def _alive(self, row: Any, now: str) -> bool:
        """Whether the process that holds a submission may still be at work.

        SQLite in WAL mode serves one machine only, so there another host name is a former life of
        this one (a container started anew). Elsewhere a foreign owner is believed for a day.
        """
        host = row.owner.rsplit(":", 2)[0]
        if host == socket.gethostname():
            return _process_alive(row.owner)
        if self._engine.dialect.name == "sqlite":
            return False
        age = datetime.fromisoformat(now) - datetime.fromisoformat(row.started)
        return age < _FOREIGN_OWNER_BELIEVED

    def finish_ingest(
        self,
        ingest_id: str,
        *,
        subject: str,
        agreement: str,
        outcome: str,
        aip: str | None,
        now: str,
        report: str,
    ) -> None:
        """Record how it ended, also where it never began because nothing could be made of it.

        ``report`` is the JSON of the result.
        """
        end = {"outcome": outcome, "aip": aip, "finished": now, "report": report}
        with self._transaction() as connection:
            known = connection.execute(
                sql_update(INGEST).where(INGEST.c.id == ingest_id).values(subject=subject, **end)
            )
            if known.rowcount == 0:
                start = {"id": ingest_id, "subject": subject, "agreement": agreement, "started": now}
                connection.execute(insert(INGEST).values(owner=_owner(), attempts=1, **start, **end))

    def register(
        self,
        aip: AipRow,
        *,
        stores: Sequence[str],
        formats: Iterable[FormatCount],
        events: Iterable[EventRow],
    ) -> None:
        """Write everything about an AIP in one transaction; again with the same id replaces it."""
        with self._transaction() as connection:
            for table in (EVENT, FORMAT, COPY):
                connection.execute(delete(table).where(table.c.aip == aip.id))
            connection.execute(delete(AIP).where(AIP.c.id == aip.id))
            connection.execute(insert(AIP).values(asdict(aip)))
            copies = [
                {"aip": aip.id, "store": s, "version": aip.version, "verified": aip.created} for s in stores
            ]
            for table, rows in (
                (COPY, copies),
                (FORMAT, [{"aip": aip.id, **asdict(row)} for row in formats]),
                (EVENT, [{"aip": aip.id, **asdict(row)} for row in events]),
            ):
                if rows:
                    connection.execute(insert(table), rows)

    def aip(self, aip_id: str) -> AipRow | None:
        """One AIP by its URN."""
        with self._transaction() as connection:
            row = connection.execute(select(AIP).where(AIP.c.id == aip_id)).first()
        return AipRow(**row._mapping) if row else None

    def aips(self) -> Iterator[AipRow]:
        """All AIPs, newest first."""
        with self._transaction() as connection:
            for row in connection.execute(select(AIP).order_by(AIP.c.created.desc(), AIP.c.id)):
                yield AipRow(**row._mapping)

    def formats(self, aip_id: str) -> tuple[FormatCount, ...]:
        """The formats in an AIP, most frequent first."""
        wanted = [FORMAT.c.puid, FORMAT.c.name, FORMAT.c.files, FORMAT.c.bytes]
        query = select(*wanted).where(FORMAT.c.aip == aip_id).order_by(FORMAT.c.files.desc())
        with self._transaction() as connection:
            return tuple(FormatCount(**row._mapping) for row in connection.execute(query))

    def events(self, aip_id: str) -> tuple[EventRow, ...]:
        """What happened to an AIP, oldest first."""
        columns = [column for column in EVENT.c if column.name != "aip"]
        query = select(*columns).where(EVENT.c.aip == aip_id).order_by(EVENT.c.time, EVENT.c.id)
        with self._transaction() as connection:
            return tuple(EventRow(**row._mapping) for row in connection.execute(query))

    def copies(self, aip_id: str) -> tuple[str, ...]:
        """The names of the stores that hold a verified copy."""
        query = select(COPY.c.store).where(COPY.c.aip == aip_id).order_by(COPY.c.store)
        with self._transaction() as connection:
            return tuple(connection.scalars(query))

    def ingest(self, ingest_id: str) -> IngestRow | None:
        """One submission's record."""
        with self._transaction() as connection:
            row = connection.execute(select(INGEST).where(INGEST.c.id == ingest_id)).first()
        return IngestRow(**row._mapping) if row else None

    def totals(self) -> tuple[int, int, int]:
        """AIPs, files, bytes."""
        query = select(
            func.count(),
            func.coalesce(func.sum(AIP.c.files), 0),
            func.coalesce(func.sum(AIP.c.bytes), 0),
        ).select_from(AIP)
        with self._transaction() as connection:
            count, file_count, size = connection.execute(query).one()
        return int(count), int(file_count), int(size)

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise StoreUnavailable("catalogue", str(error.orig)) from error


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # synchronous=NORMAL: a power failure may cost the last commits, never consistency; what is lost
    # is in storage, where the next run of the same ingest finds it.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _schema_version(connection: Connection) -> str | None:
    if not inspect_database(connection).has_table("alembic_version"):
        return None
    return connection.execute(sql_text("SELECT version_num FROM alembic_version")).scalar()


def _owner() -> str:
    """This process, recognisable after its death: host, process id, start time in clock ticks."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start_ticks(os.getpid())}"


def _start_ticks(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "?"


def _process_alive(owner: str) -> bool:
    _, pid, ticks = owner.rsplit(":", 2)
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return ticks == _start_ticks(int(pid))
