"""AIPs: what each is, and the sums over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.database import put_row
from storage.catalogue.files import put_files
from storage.catalogue.repository import Repository
from storage.catalogue.rows import (
    AipRow,
    CopyRow,
    EventRow,
    FileRow,
    FormatCount,
    TallyRow,
    VersionRow,
)
from storage.catalogue.tables import (
    AIP,
    COPY,
    EVENT,
    FORMAT,
    PLANNED_VERSION,
    REMOVAL,
    VERSION,
)
from storage.catalogue.tallies import recounted, tallies_of
from storage.states import AipState

_PAGE_ROWS = 500
_AIP = select(AIP).where(AIP.c.id == bindparam("of_id"))
_REPLACED = (
    delete(EVENT).where(EVENT.c.aip == bindparam("of_aip"), EVENT.c.store == ""),
    *(delete(table).where(table.c.aip == bindparam("of_aip")) for table in (FORMAT, COPY, PLANNED_VERSION)),
)


class AipRecords(Repository):
    """One row an AIP."""

    def register(
        self,
        aip: AipRow,
        *,
        copies: Iterable[CopyRow],
        formats: Iterable[FormatCount],
        events: Iterable[EventRow],
        files: Iterable[FileRow],
        message: str = "",
        version_created: str = "",
        request: str = "",
        durable: bool = False,
    ) -> None:
        """Write everything about an AIP's newest version in one transaction; again is harmless.

        ``copies`` is what is known of every copy, and replaces what was known before: whoever
        registers says of each who has seen it and when. Events after the ingest are left alone. The
        planned version, if there was one, is planned no more.
        """
        formats = list(formats)
        with self._database.write(durable=durable) as connection, recounted(connection, aip.id):
            for statement in _REPLACED:
                connection.execute(statement, {"of_aip": aip.id})
            before = connection.execute(_AIP, {"of_id": aip.id}).first()
            if before is not None and before.state in (AipState.REMOVING, AipState.REMOVED):
                # taken in again: that removal is history, events tell it
                connection.execute(delete(REMOVAL).where(REMOVAL.c.aip == aip.id))
            put_row(connection, AIP, asdict(aip))
            created = version_created or aip.created
            version = VersionRow(aip.version, created, message, aip.inventory_sha512, request)
            put_row(connection, VERSION, {"aip": aip.id, **asdict(version)})
            for table, rows in (
                (COPY, [asdict(row) for row in copies]),
                (FORMAT, [{"aip": aip.id, **asdict(row)} for row in formats]),
                (EVENT, [{"aip": aip.id, **asdict(row)} for row in events]),
            ):
                if rows:
                    connection.execute(insert(table), rows)
            put_files(connection, aip, [row.puid for row in formats], files)

    def get(self, aip_id: str) -> AipRow | None:
        """One AIP by its URN."""
        with self._database.transaction() as connection:
            row = connection.execute(_AIP, {"of_id": aip_id}).first()
        return AipRow(**row._mapping) if row else None

    def all(self, state: str = AipState.KEPT) -> Iterator[AipRow]:
        """All AIPs in a state, newest first. No transaction is open while the caller works on one."""
        newest_first = (AIP.c.created.desc(), AIP.c.id)
        query = select(AIP).where(AIP.c.state == state).order_by(*newest_first).limit(_PAGE_ROWS)
        last: AipRow | None = None
        while True:
            page = query
            if last is not None:
                older = AIP.c.created < last.created
                page = query.where(older | ((AIP.c.created == last.created) & (AIP.c.id > last.id)))
            with self._database.transaction() as connection:
                rows = [AipRow(**row._mapping) for row in connection.execute(page)]
            yield from rows
            if len(rows) < _PAGE_ROWS:
                return
            last = rows[-1]

    def starting_with(self, prefix: str, *, limit: int = 2) -> tuple[str, ...]:
        """The ids of AIPs, removed ones too, that begin so; ``prefix`` is of the URN."""
        query = select(AIP.c.id).where(AIP.c.id.startswith(prefix, autoescape=True)).order_by(AIP.c.id)
        with self._database.transaction() as connection:
            return tuple(connection.execute(query.limit(limit)).scalars())

    def set_state(self, aip_id: str, state: str) -> None:
        """``kept``, ``removing`` (approved, on its way out) or ``removed``."""
        with self._database.write() as connection, recounted(connection, aip_id):
            connection.execute(sql_update(AIP).where(AIP.c.id == aip_id).values(state=state))

    def add_tombstone(self, aip: AipRow) -> None:
        """The record of an AIP that is not there any more."""
        with self._database.write() as connection, recounted(connection, aip.id):
            put_row(connection, AIP, asdict(aip))

    def tallies(self, kind: str) -> tuple[TallyRow, ...]:
        """The sums of a kind (``month``, ``agency``, ``format``), by name."""
        with self._database.transaction() as connection:
            return tallies_of(connection, kind)

    def totals(self) -> tuple[int, int, int]:
        """AIPs, files, bytes kept."""
        months = self.tallies("month")
        return (
            sum(row.aips for row in months),
            sum(row.files for row in months),
            sum(row.bytes for row in months),
        )
