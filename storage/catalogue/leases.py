"""Leases: one writer per AIP, across processes and machines.

A lease belongs to a process and lasts as long as the process's heartbeat. Its number is a fencing
number: it only ever grows, and a holder whose number is gone has lost the lease. Every write to the
catalogue under a lease compares the number in the same transaction; every write to a store asks first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from sqlalchemy import Connection, Row, bindparam, delete, select

from storage.catalogue.database import WriteFence, insert_or
from storage.catalogue.heartbeats import Heartbeat, LiveDatabase
from storage.catalogue.repository import Repository
from storage.catalogue.rows import LeaseRow
from storage.catalogue.tables import LEASE, PROCESS
from storage.errors import Busy, LeaseLost, StoreUnavailable

__all__ = ["Lease", "LeaseRecords"]

_POLL_S = 0.2
# Made once: each AIP that is worked on is leased, and making a statement takes longer than SQLite's answer.
_OF_RESOURCE = select(LEASE).where(LEASE.c.resource == bindparam("wanted")).with_for_update()
_NUMBER = select(LEASE.c.number).where(LEASE.c.number == bindparam("wanted"))
_TAKE = insert_or(  # no number where somebody else was faster (PostgreSQL; SQLite has one writer at a time)
    LEASE, ("resource", "owner", "purpose", "since"), ("resource",), "DO NOTHING RETURNING number"
)
_GIVE_UP = delete(LEASE).where(LEASE.c.number == bindparam("gone"))


class Lease:
    """The right to write to one resource; given up by the context that acquired it."""

    def __init__(self, records: LeaseRecords, resource: str, number: int, interruptions: int) -> None:
        """``interruptions`` of the heartbeat, as they were before the lease was acquired."""
        self._records = records
        self.resource = resource
        self.number = number
        self._interruptions = interruptions

    def check(self) -> None:
        """Called before every write to a store; costs nothing while the heartbeat is fresh.

        Raises LeaseLost; StoreUnavailable when the catalogue must be asked and cannot be.
        """
        heartbeat = self._records.heartbeat
        if not heartbeat.fresh or heartbeat.interruptions != self._interruptions:
            self.confirm()

    def confirm(self) -> None:
        """Ask the catalogue; called before what commits or cannot be undone. Raises as ``check``."""
        heartbeat = self._records.heartbeat
        interruptions = heartbeat.interruptions
        if not heartbeat.fresh:
            heartbeat.beat()
            interruptions = heartbeat.interruptions
        self._records.require(self)
        self._interruptions = interruptions


class LeaseRecords(Repository):
    """One row a lease: acquired, confirmed, released."""

    _held_here: ClassVar[set[tuple[str, int]]] = set()
    _unreleased: ClassVar[set[tuple[str, int]]] = set()
    _held_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, database: LiveDatabase) -> None:
        super().__init__(database)
        database.with_each_heartbeat = self._give_up_unreleased

    @property
    def heartbeat(self) -> Heartbeat:
        """That of this process, by which its leases last."""
        return self._database.heartbeat

    @contextmanager
    def leased(self, resource: str, purpose: str, *, since: str, wait_s: float = 0.0) -> Iterator[Lease]:
        """Hold the lease on a resource while the context lasts.

        ``purpose`` is told to whoever wants it meanwhile, ``since`` is RFC 3339. Raises Busy when
        another live process, or another thread of this one, still holds it after ``wait_s`` seconds.
        """
        end_s = self._database.runtime.steady_clock_s() + wait_s
        while True:
            try:
                lease = self._acquire(resource, purpose, since)
                break
            except Busy:
                if self._database.runtime.steady_clock_s() >= end_s:
                    raise
                self._database.runtime.sleep(_POLL_S)
        try:
            yield lease
        finally:
            self._release(lease)

    def require(self, lease: WriteFence) -> None:
        """Raises LeaseLost when it was taken over, StoreUnavailable when nobody can say."""
        with self._database.transaction() as connection:
            found = connection.execute(_NUMBER, {"wanted": lease.number}).first()
        if found is None:
            raise LeaseLost(lease.resource)

    def confirm(self) -> None:
        """Raises LeaseLost when this catalogue writes under a lease, and that is lost."""
        if self._database.lease is not None:
            self.require(self._database.lease)

    def all(self) -> tuple[LeaseRow, ...]:
        """Every lease there is, the oldest first; ``live`` says whether its holder may be at work."""
        query = select(LEASE, PROCESS.c.host).outerjoin(PROCESS, PROCESS.c.owner == LEASE.c.owner)
        with self._database.transaction() as connection:
            return tuple(
                LeaseRow(
                    row.resource, row.number, row.owner, row.purpose, row.since, row.host or "",
                    self._database.is_live(connection, row.owner),
                )
                for row in connection.execute(query.order_by(LEASE.c.number)).all()
            )  # fmt: skip

    def _acquire(self, resource: str, purpose: str, since: str) -> Lease:
        owner = self._database.owner()
        interruptions = self._database.heartbeat.interruptions
        with self._database.write(fenced=False) as connection:
            row = connection.execute(_OF_RESOURCE, {"wanted": resource}).first()
            if row is not None:
                self._refuse_live(connection, row)
                connection.execute(_GIVE_UP, {"gone": row.number})
            values = {"resource": resource, "owner": owner, "purpose": purpose, "since": since}
            number = connection.execute(_TAKE, values).scalar()
            if number is None:
                raise Busy(resource, "another process that began at the same moment")
        with self._held_lock:
            self._held_here.add((str(self._database.engine.url), number))
        return Lease(self, resource, int(number), interruptions)

    def _refuse_live(self, connection: Connection, row: Row[tuple[object, ...]]) -> None:
        if row.owner == self._database.runtime.owner():
            with self._held_lock:
                live = (str(self._database.engine.url), row.number) in self._held_here
        else:
            live = self._database.is_live(connection, row.owner)
        if live:
            host = connection.execute(select(PROCESS.c.host).where(PROCESS.c.owner == row.owner)).scalar()
            pid = row.owner.rsplit(":", 2)[1]
            raise Busy(row.resource, f"{row.purpose} (process {pid} on {host or '?'}, since {row.since})")

    def _release(self, lease: Lease) -> None:
        with self._held_lock:
            self._held_here.discard((str(self._database.engine.url), lease.number))
        try:
            with self._database.write(fenced=False) as connection:
                connection.execute(_GIVE_UP, {"gone": lease.number})
        except StoreUnavailable:
            with self._held_lock:  # given up with the next heartbeat
                self._unreleased.add((str(self._database.engine.url), lease.number))

    def _give_up_unreleased(self, connection: Connection) -> None:
        here = str(self._database.engine.url)
        with self._held_lock:
            numbers = [number for url, number in self._unreleased if url == here]
            self._unreleased.difference_update((here, number) for number in numbers)
        if numbers:
            connection.execute(delete(LEASE).where(LEASE.c.number.in_(numbers)))
