"""What is kept: AIPs, their versions, formats and events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from sqlalchemy import delete, func, insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.database import Database, put_row
from storage.catalogue.files import put_files
from storage.catalogue.rows import AipRow, EventRow, FileRow, FormatCount, TallyRow, VersionRow
from storage.catalogue.tables import AIP, COPY, EVENT, FORMAT, TALLY, VERSION
from storage.catalogue.tallies import recounted


class Holdings(Database):
    """AIPs and everything that belongs to one."""

    def register(
        self,
        aip: AipRow,
        *,
        stores: Sequence[str],
        formats: Iterable[FormatCount],
        events: Iterable[EventRow],
        files: Iterable[FileRow],
        owed: Iterable[tuple[str, str]] = (),
        message: str = "",
        version_created: str = "",
        verified: str = "",
    ) -> None:
        """Write everything about an AIP's newest version in one transaction; again is harmless.

        ``stores`` hold a copy verified at ``verified`` (default: when it was created), ``owed``
        are stores that do not, each with the reason. Events after the ingest are left alone.
        """
        formats = list(formats)
        with self._transaction() as connection, recounted(connection, aip.id):
            ours = (EVENT.c.aip == aip.id) & (EVENT.c.store == "")
            connection.execute(delete(EVENT).where(ours))
            for table in (FORMAT, COPY):
                connection.execute(delete(table).where(table.c.aip == aip.id))
            put_row(connection, AIP, asdict(aip))
            version = VersionRow(aip.version, version_created or aip.created, message, aip.inventory_sha512)
            put_row(connection, VERSION, {"aip": aip.id, **asdict(version)})
            good = {"aip": aip.id, "version": aip.version, "verified": verified or aip.created}
            good["looked"] = good["verified"]
            lacking = {"aip": aip.id, "version": "", "verified": "", "looked": "", "state": "owed"}
            copies = [{**good, "store": s, "state": "verified", "detail": ""} for s in stores]
            copies += [{**lacking, "store": s, "detail": why} for s, why in owed]
            for table, rows in (
                (COPY, copies),
                (FORMAT, [{"aip": aip.id, **asdict(row)} for row in formats]),
                (EVENT, [{"aip": aip.id, **asdict(row)} for row in events]),
            ):
                if rows:
                    connection.execute(insert(table), rows)
            put_files(connection, aip, [row.puid for row in formats], files)

    def aip(self, aip_id: str) -> AipRow | None:
        """One AIP by its URN."""
        with self._transaction() as connection:
            row = connection.execute(select(AIP).where(AIP.c.id == aip_id)).first()
        return AipRow(**row._mapping) if row else None

    def aips(self, state: str = "kept") -> Iterator[AipRow]:
        """All AIPs in a state, newest first."""
        query = select(AIP).where(AIP.c.state == state).order_by(AIP.c.created.desc(), AIP.c.id)
        with self._transaction() as connection:
            for row in connection.execute(query):
                yield AipRow(**row._mapping)

    def set_state(self, aip_id: str, state: str) -> None:
        """``kept``, ``removing`` (approved, on its way out) or ``removed``."""
        with self._transaction() as connection, recounted(connection, aip_id):
            connection.execute(sql_update(AIP).where(AIP.c.id == aip_id).values(state=state))

    def add_tombstone(self, aip: AipRow) -> None:
        """The record of an AIP that is not there any more."""
        with self._transaction() as connection, recounted(connection, aip.id):
            put_row(connection, AIP, asdict(aip))

    def versions(self, aip_id: str) -> tuple[VersionRow, ...]:
        """The versions of an AIP, oldest first."""
        columns = [column for column in VERSION.c if column.name != "aip"]
        query = select(*columns).where(VERSION.c.aip == aip_id).order_by(func.length(VERSION.c.version))
        query = query.order_by(VERSION.c.version)
        with self._transaction() as connection:
            return tuple(VersionRow(**row._mapping) for row in connection.execute(query))

    def version_digests(self, aip_id: str) -> dict[str, str]:
        """The SHA-512 of each version's inventory, by version: the measure of an audit."""
        return {row.version: row.inventory_sha512 for row in self.versions(aip_id)}

    def set_version(self, aip_id: str, version: VersionRow) -> None:
        """Record an earlier version (a rebuilt catalogue learns them one by one)."""
        with self._transaction() as connection:
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
        with self._transaction() as connection, recounted(connection, aip_id):
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
        rows = [{"aip": aip_id, "journaled": journaled, **asdict(row)} for row in events]
        if rows:
            with self._transaction() as connection:
                connection.execute(insert(EVENT), rows)

    def known_event(self, event_id: str) -> bool:
        """Whether the catalogue has this event already."""
        with self._transaction() as connection:
            return connection.execute(select(EVENT.c.id).where(EVENT.c.id == event_id)).first() is not None

    def not_journaled(self, limit: int) -> list[tuple[str, EventRow]]:
        """(AIP, event) of up to ``limit`` events that storage does not know yet, oldest first."""
        columns = [column for column in EVENT.c if column.name != "journaled"]
        query = select(*columns).where(~EVENT.c.journaled).order_by(EVENT.c.time, EVENT.c.id).limit(limit)
        with self._transaction() as connection:
            rows = [dict(row._mapping) for row in connection.execute(query)]
        return [(row.pop("aip"), EventRow(**row)) for row in rows]

    def mark_journaled(self, event_ids: Sequence[str]) -> None:
        """These events are in storage now."""
        with self._transaction() as connection:
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
