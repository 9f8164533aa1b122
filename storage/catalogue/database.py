"""The database behind the catalogue: opened, migrated, its errors translated."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, Self

from sqlalchemy import (
    Connection,
    Table,
    TextClause,
    Update,
    bindparam,
    create_engine,
    event,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy import inspect as inspect_database
from sqlalchemy import text as sql_text
from sqlalchemy.exc import ArgumentError, DBAPIError

from storage.catalogue.process import ProcessRuntime
from storage.catalogue.tables import LEASE
from storage.errors import LeaseLost, StoreRefused, StoreUnavailable

_HEAD = "0009"
_NAME = "catalogue"
_HELD = select(LEASE.c.number).where(LEASE.c.number == bindparam("held")).with_for_update(read=True)
_MIGRATION_LOCK = int.from_bytes(b"stele", "big")  # the number of PostgreSQL's advisory lock


class WriteFence(Protocol):
    """What a write must still hold when it is made; see ``storage.catalogue.leases``."""

    resource: str
    number: int


class Database:
    """A database by SQLAlchemy URL; SQLite files are opened in WAL mode."""

    lease: WriteFence | None = None
    """What every write of this view needs; see ``under``."""

    def __init__(self, url: str, runtime: ProcessRuntime | None = None) -> None:
        self.runtime = runtime or ProcessRuntime.real()
        try:
            place = make_url(url)
            if place.drivername == "postgresql":  # SQLAlchemy would look for an older driver
                place = place.set(drivername="postgresql+psycopg")
            self.engine = create_engine(place, pool_pre_ping=place.get_backend_name() != "sqlite")
        except (ArgumentError, ImportError) as error:  # not a URL, or no driver for it
            raise StoreRefused(_NAME, str(error)) from error
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _sqlite_pragmas)

    def _create_private(self) -> None:
        """A new SQLite file is its owner's only: it holds password hashes and what is closed."""
        place = self.engine.url.database
        if self.engine.dialect.name != "sqlite" or not place or place.startswith((":", "file:")):
            return
        try:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError:  # it is there already, or cannot be made, which opening it tells in its words
            return

    def migrate(self) -> None:
        """Bring the schema up to date; a no-op when it is."""
        self._create_private()
        with self.transaction() as connection:
            if _schema_version(connection) == _HEAD:
                return
            # Two processes must not migrate at once: one does, the other finds it done.
            if connection.dialect.name == "postgresql":
                connection.execute(sql_text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            else:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            if _schema_version(connection) == _HEAD:
                return
            from alembic import command  # a second to import, needed once in a lifetime
            from alembic.config import Config
            from alembic.util.exc import CommandError

            config = Config()
            folder = Path(str(files("storage.catalogue").joinpath("migrations")))
            config.set_main_option("script_location", str(folder))
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:  # written by a newer Stele
                raise StoreRefused(_NAME, str(error)) from error

    @property
    def name(self) -> str:
        """What errors call it, where a store would have its name."""
        return _NAME

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()

    def under(self, lease: WriteFence) -> Self:
        """This database, every write of which fails with LeaseLost once the lease is lost."""
        fenced = copy.copy(self)
        fenced.lease = lease
        return fenced

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """For reading, and for writes that need not see what they read unchanged."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise StoreUnavailable(_NAME, str(error.orig)) from error

    @contextmanager
    def write(self, *, durable: bool = False, fenced: bool = True) -> Iterator[Connection]:
        """One writer at a time on SQLite, so that what is read in it holds until it is written.

        ``durable``: it survives a power cut once this returns, and so does every write before it.
        ``fenced``: raises LeaseLost, and writes nothing, when the lease of this catalogue is lost.
        """
        with self.transaction() as connection:
            sqlite = connection.dialect.name == "sqlite"
            if sqlite:
                # The commit of a WAL with synchronous=FULL writes out all that lies before it too.
                connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            lease = self.lease if fenced else None
            if lease and connection.execute(_HELD, {"held": lease.number}).first() is None:
                raise LeaseLost(lease.resource)
            yield connection


def put_row(connection: Connection, table: Table, values: dict[str, Any]) -> None:
    """Add a row, or change the one that has its primary key."""
    mine = {f"my_{column.name}": values[column.name] for column in table.primary_key}
    if connection.execute(_change_of(table), {**values, **mine}).rowcount == 0:
        connection.execute(insert(table), values)


def insert_or(table: Table, names: Sequence[str], key: Sequence[str], otherwise: str) -> TextClause:
    """Add a row, or do otherwise where there is one of this key: ``DO NOTHING``, ``DO UPDATE SET …``.

    As text, because SQLAlchemy makes its own statements of this kind anew each time; values are still
    converted by the columns' types. SQLite and PostgreSQL write it alike.
    """
    values = ", ".join(f":{name}" for name in names)
    made = sql_text(
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({values}) "
        f"ON CONFLICT ({', '.join(key)}) {otherwise}"
    )
    return made.bindparams(*(bindparam(name, type_=table.c[name].type) for name in names))


@functools.cache
def _change_of(table: Table) -> Update:
    return update(table).where(*(column == bindparam(f"my_{column.name}") for column in table.primary_key))


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # synchronous=NORMAL: a power failure may cost the last commits, never consistency; what must not
    # be lost is written durably (``Database.write``), and that takes all earlier commits along.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _schema_version(connection: Connection) -> str | None:
    if not inspect_database(connection).has_table("alembic_version"):
        return None
    return connection.execute(sql_text("SELECT version_num FROM alembic_version")).scalar()
