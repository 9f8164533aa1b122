"""What is kept: AIPs, their versions, formats and events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.database import Database, put_row
from storage.catalogue.files import put_files
from storage.catalogue.rows import (
    AipRow,
    CopyRow,
    EventRow,
    FileRow,
    FormatCount,
    PlannedVersionRow,
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
    TALLY,
    VERSION,
)
from storage.catalogue.tallies import recounted

_PAGE_ROWS = 500


class Holdings(Database):
    """AIPs and everything that belongs to one."""

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
        with self._write(durable=durable) as connection, recounted(connection, aip.id):
            ours = (EVENT.c.aip == aip.id) & (EVENT.c.store == "")
            connection.execute(delete(EVENT).where(ours))
            for table in (FORMAT, COPY, PLANNED_VERSION):
                connection.execute(delete(table).where(table.c.aip == aip.id))
            before = connection.execute(select(AIP.c.state).where(AIP.c.id == aip.id)).scalar()
            if before in ("removing", "removed"):  # taken in again: that removal is history, events tell it
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

    def plan_version(self, aip_id: str, plan: PlannedVersionRow) -> None:
        """Say which version a store is about to commit; durable before it does.

        If this process dies then, whoever has the lease next knows what to look for and finishes it.
        """
        with self._write(durable=True) as connection:
            put_row(connection, PLANNED_VERSION, {"aip": aip_id, **asdict(plan)})

    def planned_version(self, aip_id: str) -> PlannedVersionRow | None:
        """The version that was about to be committed when its writer stopped."""
        columns = [column for column in PLANNED_VERSION.c if column.name != "aip"]
        query = select(*columns).where(PLANNED_VERSION.c.aip == aip_id)
        with self._transaction() as connection:
            row = connection.execute(query).first()
        return PlannedVersionRow(**row._mapping) if row else None

    def planned_versions(self) -> tuple[str, ...]:
        """AIPs of which a new version is on its way, or was when its writer stopped."""
        with self._transaction() as connection:
            return tuple(connection.execute(select(PLANNED_VERSION.c.aip)).scalars())

    def drop_plan(self, aip_id: str) -> None:
        """The planned version was committed by no store."""
        with self._write() as connection:
            connection.execute(delete(PLANNED_VERSION).where(PLANNED_VERSION.c.aip == aip_id))

    def aip(self, aip_id: str) -> AipRow | None:
        """One AIP by its URN."""
        with self._transaction() as connection:
            row = connection.execute(select(AIP).where(AIP.c.id == aip_id)).first()
        return AipRow(**row._mapping) if row else None

    def aips(self, state: str = "kept") -> Iterator[AipRow]:
        """All AIPs in a state, newest first. No transaction is open while the caller works on one."""
        newest_first = (AIP.c.created.desc(), AIP.c.id)
        query = select(AIP).where(AIP.c.state == state).order_by(*newest_first).limit(_PAGE_ROWS)
        last: AipRow | None = None
        while True:
            page = query
            if last is not None:
                older = AIP.c.created < last.created
                page = query.where(older | ((AIP.c.created == last.created) & (AIP.c.id > last.id)))
            with self._transaction() as connection:
                rows = [AipRow(**row._mapping) for row in connection.execute(page)]
            yield from rows
            if len(rows) < _PAGE_ROWS:
                return
            last = rows[-1]

    def set_state(self, aip_id: str, state: str) -> None:
        """``kept``, ``removing`` (approved, on its way out) or ``removed``."""
        with self._write() as connection, recounted(connection, aip_id):
            connection.execute(sql_update(AIP).where(AIP.c.id == aip_id).values(state=state))

    def add_tombstone(self, aip: AipRow) -> None:
        """The record of an AIP that is not there any more."""
        with self._write() as connection, recounted(connection, aip.id):
            put_row(connection, AIP, asdict(aip))

    def versions(self, aip_id: str) -> tuple[VersionRow, ...]:
        """The versions of an AIP, oldest first."""
        columns = [column for column in VERSION.c if column.name != "aip"]
        query = select(*columns).where(VERSION.c.aip == aip_id).order_by(func.length(VERSION.c.version))
        query = query.order_by(VERSION.c.version)
        with self._transaction() as connection:
            return tuple(VersionRow(**row._mapping) for row in connection.execute(query))

    def version_digests(self, aip_id: str) -> dict[str, str]:
        """The SHA-512 of each version's inventory, by version: the measure of an audit.

        A version of which a rebuild found no inventory that it could rely on is left out.
        """
        return {row.version: row.inventory_sha512 for row in self.versions(aip_id) if row.inventory_sha512}

    def set_version(self, aip_id: str, version: VersionRow) -> None:
        """Record an earlier version (a rebuilt catalogue learns them one by one)."""
        with self._write() as connection:
            put_row(connection, VERSION, {"aip": aip_id, **asdict(version)})

    def formats(self, aip_id: str) -> tuple[FormatCount, ...]:
        """The formats in an AIP, most frequent first."""
        wanted = [column for column in FORMAT.c if column.name != "aip"]
        query = select(*wanted).where(FORMAT.c.aip == aip_id).order_by(FORMAT.c.files.desc())
        with self._transaction() as connection:
            return tuple(FormatCount(**row._mapping) for row in connection.execute(query))

    def move_format(self, aip_id: str, before: str, to: FormatCount) -> None:
        """Count the files of ``to`` under its format and no longer under ``before``."""
        mine = FORMAT.c.aip == aip_id
        with self._write() as connection, recounted(connection, aip_id):
            less = {"files": FORMAT.c.files - to.files, "bytes": FORMAT.c.bytes - to.bytes}
            connection.execute(sql_update(FORMAT).where(mine, FORMAT.c.puid == before).values(less))
            connection.execute(delete(FORMAT).where(mine, FORMAT.c.puid == before, FORMAT.c.files <= 0))
            more = {"files": FORMAT.c.files + to.files, "bytes": FORMAT.c.bytes + to.bytes}
            there = sql_update(FORMAT).where(mine, FORMAT.c.puid == to.puid).values(more)
            if connection.execute(there).rowcount == 0:
                connection.execute(insert(FORMAT).values({"aip": aip_id, **asdict(to)}))

    def tallies(self, kind: str) -> tuple[TallyRow, ...]:
        """The sums of a kind (``month``, ``agency``, ``format``), by name."""
        columns = [column for column in TALLY.c if column.name != "kind"]
        query = select(*columns).where(TALLY.c.kind == kind, TALLY.c.aips > 0).order_by(TALLY.c.name)
        with self._transaction() as connection:
            return tuple(TallyRow(**row._mapping) for row in connection.execute(query))

    def all_formats(self) -> tuple[tuple[FormatCount, int], ...]:
        """Every format in the archive, most bytes first, each with the number of AIPs that hold it."""
        rows = sorted(self.tallies("format"), key=lambda row: (-row.bytes, row.name))
        return tuple(
            (
                FormatCount(
                    row.name, row.label, row.files, row.bytes, row.not_valid, row.mime, row.pages,
                    row.seconds,
                ),
                row.aips,
            )
            for row in rows
        )  # fmt: skip

    def with_format(self, puids: Sequence[str]) -> tuple[str, ...]:
        """The kept AIPs that hold files of any of these formats."""
        query = (
            select(FORMAT.c.aip)
            .join(AIP, AIP.c.id == FORMAT.c.aip)
            .where(FORMAT.c.puid.in_(puids), AIP.c.state == "kept")
            .distinct()
            .order_by(FORMAT.c.aip)
        )
        with self._transaction() as connection:
            return tuple(connection.execute(query).scalars())

    def events(self, aip_id: str) -> tuple[EventRow, ...]:
        """What happened to an AIP, oldest first."""
        columns = [column for column in EVENT.c if column.name not in ("aip", "journaled")]
        query = select(*columns).where(EVENT.c.aip == aip_id).order_by(EVENT.c.time, EVENT.c.id)
        with self._transaction() as connection:
            return tuple(EventRow(**row._mapping) for row in connection.execute(query))

    def store_events(self, limit: int) -> list[tuple[str, EventRow]]:
        """(AIP, event) of the last damage and repairs in any store, newest first."""
        columns = [column for column in EVENT.c if column.name != "journaled"]
        bad = (EVENT.c.type == "recovery") | (EVENT.c.outcome == "failure")
        query = select(*columns).where(EVENT.c.store != "", bad)
        query = query.order_by(EVENT.c.time.desc()).limit(limit)
        with self._transaction() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [(row.pop("aip"), EventRow(**row)) for row in rows]

    def add_events(self, aip_id: str, events: Iterable[EventRow], *, journaled: bool = False) -> None:
        """Record what happened after the ingest; ``journaled`` says that storage knows it too."""
        rows = list(events)
        if rows:
            with self._write() as connection:
                insert_events(connection, aip_id, rows, journaled=journaled)

    def known_events(self, event_ids: Sequence[str]) -> set[str]:
        """Those of the given events that the catalogue has already."""
        query = select(EVENT.c.id).where(EVENT.c.id.in_(event_ids))
        with self._transaction() as connection:
            return set(connection.execute(query).scalars())

    def not_journaled(self, limit: int) -> list[tuple[str, EventRow]]:
        """(AIP, event) of up to ``limit`` events that storage does not know yet, oldest first."""
        columns = [column for column in EVENT.c if column.name != "journaled"]
        query = select(*columns).where(~EVENT.c.journaled).order_by(EVENT.c.time, EVENT.c.id).limit(limit)
        with self._transaction() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [(row.pop("aip"), EventRow(**row)) for row in rows]

    def mark_journaled(self, event_ids: Sequence[str]) -> None:
        """These events are in storage now."""
        with self._write() as connection:
            for start in range(0, len(event_ids), 500):
                some = event_ids[start : start + 500]
                connection.execute(sql_update(EVENT).where(EVENT.c.id.in_(some)).values(journaled=True))

    def totals(self) -> tuple[int, int, int]:
        """AIPs, files, bytes kept."""
        months = self.tallies("month")
        return (
            sum(row.aips for row in months),
            sum(row.files for row in months),
            sum(row.bytes for row in months),
        )


def insert_events(
    connection: Connection, aip_id: str, events: Iterable[EventRow], *, journaled: bool = False
) -> None:
    """Add events within a transaction that also changes what they tell."""
    rows = [{"aip": aip_id, "journaled": journaled, **asdict(row)} for row in events]
    connection.execute(insert(EVENT), rows)
