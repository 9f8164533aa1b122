"""The formats of what is kept, per AIP and over the archive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, insert, select
from sqlalchemy import update as sql_update

from storage.catalogue.repository import Repository
from storage.catalogue.rows import (
    FormatCount,
)
from storage.catalogue.tables import (
    AIP,
    FORMAT,
)
from storage.catalogue.tallies import recounted, tallies_of
from storage.states import AipState


class FormatRecords(Repository):
    """One row a format of an AIP."""

    def of(self, aip_id: str) -> tuple[FormatCount, ...]:
        """The formats in an AIP, most frequent first."""
        wanted = [column for column in FORMAT.c if column.name != "aip"]
        query = select(*wanted).where(FORMAT.c.aip == aip_id).order_by(FORMAT.c.files.desc())
        with self._database.transaction() as connection:
            return tuple(FormatCount(**row._mapping) for row in connection.execute(query))

    def move(self, aip_id: str, before: str, to: FormatCount) -> None:
        """Count the files of ``to`` under its format and no longer under ``before``."""
        mine = FORMAT.c.aip == aip_id
        with self._database.write() as connection, recounted(connection, aip_id):
            less = {"files": FORMAT.c.files - to.files, "bytes": FORMAT.c.bytes - to.bytes}
            connection.execute(sql_update(FORMAT).where(mine, FORMAT.c.puid == before).values(less))
            connection.execute(delete(FORMAT).where(mine, FORMAT.c.puid == before, FORMAT.c.files <= 0))
            more = {"files": FORMAT.c.files + to.files, "bytes": FORMAT.c.bytes + to.bytes}
            there = sql_update(FORMAT).where(mine, FORMAT.c.puid == to.puid).values(more)
            if connection.execute(there).rowcount == 0:
                connection.execute(insert(FORMAT).values({"aip": aip_id, **asdict(to)}))

    def all(self) -> tuple[tuple[FormatCount, int], ...]:
        """Every format in the archive, most bytes first, each with the number of AIPs that hold it."""
        with self._database.transaction() as connection:
            found = tallies_of(connection, "format")
        rows = sorted(found, key=lambda row: (-row.bytes, row.name))
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

    def aips_with(self, puids: Sequence[str]) -> tuple[str, ...]:
        """The kept AIPs that hold files of any of these formats."""
        query = (
            select(FORMAT.c.aip)
            .join(AIP, AIP.c.id == FORMAT.c.aip)
            .where(FORMAT.c.puid.in_(puids), AIP.c.state == AipState.KEPT)
            .distinct()
            .order_by(FORMAT.c.aip)
        )
        with self._database.transaction() as connection:
            return tuple(connection.execute(query).scalars())
