"""The real catalogue on one SQLite database in memory, which a power cut takes back to what was durable."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from simulation.world import Process, Violation, World
from storage.catalogue import Catalogue, CopyRow, ProcessRuntime
from storage.catalogue.aips import AipRecords
from storage.catalogue.copies import CopyRecords
from storage.catalogue.database import _sqlite_pragmas
from storage.catalogue.heartbeats import LiveDatabase
from storage.errors import StoreUnavailable

__all__ = ["Disk", "SimCatalogue"]


class Disk:
    """The database's file: what is in it now, and what a power cut would leave. One for all seeds."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder, "c.sqlite")
            made = Catalogue(f"sqlite:///{place}")
            made.migrate()
            made.close()
            with sqlite3.connect(place) as source:
                source.execute("PRAGMA journal_mode=DELETE")
            self._template = place.read_bytes()
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)
        self.engine: Engine = create_engine(
            "sqlite://", creator=lambda: self.connection, poolclass=StaticPool
        )
        event.listen(self.engine, "connect", _sqlite_pragmas)
        self.busy = False
        self.reset()

    def reset(self) -> None:
        """An empty catalogue."""
        self._load(self._template)
        self.durable = self._template

    def restore(self, content: bytes) -> None:
        """What was in it at an earlier moment, durable."""
        self._load(content)
        self.durable = content

    def save(self) -> None:
        """A durable commit."""
        self.durable = self.connection.serialize()

    def power_cut(self) -> None:
        """Back to the last durable commit."""
        self._load(self.durable)

    def _load(self, content: bytes) -> None:
        self.connection.rollback()
        self.connection.deserialize(content)
        self.connection.execute("PRAGMA foreign_keys=ON")

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """For the model: read beside the operations."""
        return self.connection.execute(query, values).fetchall()


class SimDatabase(LiveDatabase):
    """As one process sees it: every transaction is a step, at which others may run or it may die."""

    def __init__(self, disk: Disk, world: World, process: Process) -> None:
        self._disk = disk
        self._world = world
        self._process = process
        self._writes = False
        self.engine = disk.engine
        self.runtime = ProcessRuntime(
            owner=lambda: process.owner,
            seen_dead=self._seen_dead,
            wall_clock_s=lambda: world.now + world.wall_offset,
            steady_clock_s=lambda: world.now,
            sleep=world.sleep,
            background_heartbeat=False,
        )

    def _seen_dead(self, owner: str) -> bool:
        machine = owner.partition(":")[0]
        if machine != self._process.machine:
            return False
        others = {one.owner: one for one in self._world.processes}
        other = others.get(owner)
        return other is None or other.dead or other.ended

    def owner(self) -> str:
        owner = super().owner()
        if self._process.beat is None:
            self._process.last_beat = self._world.now
            self._process.beat = self._beat
        return owner

    def _beat(self) -> None:
        if self.heartbeat._lock.locked():
            return  # the process is about to renew it itself
        self._disk.busy = True  # no step: the heartbeat has a thread of its own
        try:
            self.heartbeat.beat()
        finally:
            self._disk.busy = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        if self._disk.busy:
            with super().transaction() as connection:
                yield connection
            return
        self._world.step("catalogue write" if self._writes else "catalogue")
        if self._world.now < self._world.catalogue_down_until and not self._world.quiet:
            raise StoreUnavailable(self.name, "simulated: it is down")
        self._disk.busy = True
        try:
            with super().transaction() as connection:
                yield connection
        finally:
            self._disk.busy = False

    @contextmanager
    def write(self, *, durable: bool = False, fenced: bool = True) -> Iterator[Connection]:
        self._writes = True
        try:
            with super().write(durable=durable, fenced=fenced) as connection:
                self._writes = False
                yield connection
        finally:
            self._writes = False
        if fenced:  # leases and heartbeats say nothing of what is kept
            self._world.changed = True
        if durable:
            self._disk.save()


class _Witness:
    """Who says “verified, now” must have read or written every byte of the copy."""

    def __init__(self, disk: Disk, world: World, process: Process) -> None:
        self._disk = disk
        self._world = world
        self._process = process

    def check(self, copies: list[CopyRow], version: str = "") -> None:
        """Raises Violation."""
        for copy in copies:
            if copy.state != "verified" or not copy.verified:
                continue
            before = self._disk.rows(
                "SELECT verified, state FROM copy WHERE aip = ? AND store = ?", copy.aip, copy.store
            )
            if before and before[0][0] == copy.verified and before[0][1] in ("verified", "pending"):
                continue  # carried over
            statement = (copy.aip, copy.store, copy.version, copy.verified)
            if statement in self._world.stated:
                continue  # what somebody who had read it said, as the journal tells it
            self._world.stated.add(statement)
            unseen = self._world.unseen(self._process, copy)
            if unseen:
                raise Violation(
                    f"{self._process.name} says that {copy.store} holds {copy.aip[-6:]} verified at "
                    f"{copy.verified}, and has not read {unseen}"
                )


class _WitnessedCopies(CopyRecords):
    witness: _Witness

    def put(self, copy: CopyRow, events: Iterable[Any] = ()) -> None:
        self.witness.check([copy])
        super().put(copy, events)


class _WitnessedAips(AipRecords):
    witness: _Witness

    def register(self, aip: Any, *, copies: Iterable[CopyRow], **more: Any) -> None:
        rows = list(copies)
        self.witness.check(rows, version=aip.version)
        super().register(aip, copies=rows, **more)


class SimCatalogue(Catalogue):
    """The real catalogue over the simulated database, watched in what it is told of copies."""

    def __init__(self, disk: Disk, world: World, process: Process) -> None:
        self._witness = _Witness(disk, world, process)
        self._stand_on(SimDatabase(disk, world, process))

    def _stand_on(self, database: LiveDatabase) -> None:
        super()._stand_on(database)
        copies, aips = _WitnessedCopies(database), _WitnessedAips(database)
        copies.witness = aips.witness = self._witness
        self.copies, self.aips = copies, aips
