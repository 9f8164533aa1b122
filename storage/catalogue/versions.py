"""The versions of an AIP, and the one that a store is about to commit."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import bindparam, delete, func, select

from storage.catalogue.database import put_row
from storage.catalogue.repository import Repository
from storage.catalogue.rows import (
    PlannedVersionRow,
    VersionRow,
)
from storage.catalogue.tables import (
    PLANNED_VERSION,
    VERSION,
)

_PLANNED = select(*(column for column in PLANNED_VERSION.c if column.name != "aip")).where(
    PLANNED_VERSION.c.aip == bindparam("of_aip")
)
_VERSIONS = (
    select(*(column for column in VERSION.c if column.name != "aip"))
    .where(VERSION.c.aip == bindparam("of_aip"))
    .order_by(func.length(VERSION.c.version), VERSION.c.version)
)


class VersionRecords(Repository):
    """One row a version, at most one planned for each AIP."""

    def of(self, aip_id: str) -> tuple[VersionRow, ...]:
        """The versions of an AIP, oldest first."""
        with self._database.transaction() as connection:
            return tuple(
                VersionRow(**row._mapping) for row in connection.execute(_VERSIONS, {"of_aip": aip_id})
            )

    def digests(self, aip_id: str) -> dict[str, str]:
        """The SHA-512 of each version's inventory, by version: the measure of an audit.

        A version of which a rebuild found no inventory that it could rely on is left out.
        """
        return {row.version: row.inventory_sha512 for row in self.of(aip_id) if row.inventory_sha512}

    def put(self, aip_id: str, version: VersionRow) -> None:
        """Record an earlier version (a rebuilt catalogue learns them one by one)."""
        with self._database.write() as connection:
            put_row(connection, VERSION, {"aip": aip_id, **asdict(version)})

    def plan(self, aip_id: str, plan: PlannedVersionRow) -> None:
        """Say which version a store is about to commit; durable before it does.

        If this process dies then, whoever has the lease next knows what to look for and finishes it.
        """
        with self._database.write(durable=True) as connection:
            put_row(connection, PLANNED_VERSION, {"aip": aip_id, **asdict(plan)})

    def planned(self, aip_id: str) -> PlannedVersionRow | None:
        """The version that was about to be committed when its writer stopped."""
        with self._database.transaction() as connection:
            row = connection.execute(_PLANNED, {"of_aip": aip_id}).first()
        return PlannedVersionRow(**row._mapping) if row else None

    def all_planned(self) -> tuple[str, ...]:
        """AIPs of which a new version is on its way, or was when its writer stopped."""
        with self._database.transaction() as connection:
            return tuple(connection.execute(select(PLANNED_VERSION.c.aip)).scalars())

    def drop_plan(self, aip_id: str) -> None:
        """The planned version was committed by no store."""
        with self._database.write() as connection:
            connection.execute(delete(PLANNED_VERSION).where(PLANNED_VERSION.c.aip == aip_id))
