"""Leases on SQLite and PostgreSQL: one holder, numbers that only grow, no write after the loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from storage.catalogue import (
    AipRow,
    Catalogue,
    CopyRow,
    Lease,
    ProcessRuntime,
    current_owner,
    owner_of,
    seen_dead,
)
from storage.catalogue.heartbeats import LEASE_TTL_S
from storage.errors import Busy, LeaseLost

_SINCE = "2026-11-27T00:00:00Z"
_AIPS = ("urn:uuid:00000000-0000-4000-8000-000000000001", "urn:uuid:00000000-0000-4000-8000-000000000002")


def _row(urn: str) -> AipRow:
    return AipRow(urn, "v1", "T", "default", "A", "", "", 1, 1, "2026-01-01T00:00:00Z", "0" * 128)


@dataclass
class _Time:
    """Seconds for all processes; the database's clock is moved by making every heartbeat older."""

    now_s: float = 1000.0
    dead: set[str] = field(default_factory=set)


@dataclass
class _Held:
    context: AbstractContextManager[Lease]
    lease: Lease
    fenced: Catalogue


@dataclass
class _Left:
    """A lease that a killed process left."""

    machine: str
    aip: str
    died_s: float
    held: _Held
    """Kept, so that no context gives up its lease when it is collected."""


class _Process:
    """One process on one of two machines, with a catalogue of its own."""

    def __init__(self, url: str, time: _Time, machine: str, pid: int) -> None:
        self.owner = f"{machine}:{pid}:1"
        self.machine = machine
        self.time = time
        self.held: dict[str, _Held] = {}
        self.catalogue = Catalogue(
            url,
            ProcessRuntime(
                owner=lambda: self.owner,
                seen_dead=lambda owner: owner.startswith(f"{machine}:") and owner in time.dead,
                wall_clock_s=lambda: time.now_s,
                steady_clock_s=lambda: time.now_s,
                sleep=lambda _: None,
                background_heartbeat=False,
            ),
        )


class _Leases(RuleBasedStateMachine):
    """Processes acquire, write, stall, die; the model knows who must hold what."""

    url = ""
    postgresql = False

    def __init__(self) -> None:
        super().__init__()
        self.time = _Time()
        self.numbers: list[int] = []
        self.left: list[_Left] = []
        self.versions = dict.fromkeys(_AIPS, 0)
        self.processes = [
            _Process(self.url, self.time, machine, pid) for machine, pid in (("A", 1), ("A", 2), ("B", 1))
        ]
        first = self.processes[0].catalogue
        with first.database.transaction() as connection:
            connection.execute(text("DELETE FROM lease"))
            connection.execute(text("DELETE FROM process"))

    def _alive(self, number: int) -> _Process | None:
        process = self.processes[number]
        return None if process.owner in self.time.dead else process

    @rule(number=st.integers(0, 2), aip=st.sampled_from(_AIPS))
    def acquire(self, number: int, aip: str) -> None:
        """Whoever gets it has a number above all before; the last holder's is gone."""
        process = self._alive(number)
        if process is None or aip in process.held:
            return
        context = process.catalogue.leases.leased(aip, "test", since=_SINCE)
        try:
            lease = context.__enter__()
        except Busy:
            rivals = [one for one in self.processes if aip in one.held and one is not process]
            assert rivals or self._may_be_held(aip, process), "refused though nobody can hold it"
            return
        assert not self.numbers or lease.number > max(self.numbers), "a fencing number only grows"
        self.numbers.append(lease.number)
        process.held[aip] = _Held(context, lease, process.catalogue.under(lease))

    def _may_be_held(self, aip: str, asker: _Process) -> bool:
        """By a dead process, as far as the asker can know: until its heartbeat is old on another machine."""
        return any(
            one.aip == aip and one.machine != asker.machine and self.time.now_s - one.died_s < LEASE_TTL_S
            for one in self.left
        )

    @rule(number=st.integers(0, 2), aip=st.sampled_from(_AIPS))
    def release(self, number: int, aip: str) -> None:
        """Giving up what was lost harms nobody."""
        process = self._alive(number)
        if process is not None and aip in process.held:
            process.held.pop(aip).context.__exit__(None, None, None)

    @rule(number=st.integers(0, 2), aip=st.sampled_from(_AIPS))
    def write(self, number: int, aip: str) -> None:
        """A write is made by the last one who acquired it, and by nobody else."""
        process = self._alive(number)
        if process is None or aip not in process.held:
            return
        held = process.held[aip]
        newest = max(self._numbers_of(aip), default=0)
        try:
            held.fenced.copies.put(CopyRow(aip, "one", "v1", "", "verified", f"{held.lease.number}", ""))
        except LeaseLost:
            assert held.lease.number != newest or not self._still_there(held), "refused its own"
            return
        assert held.lease.number == newest, "a process wrote after another had taken over"

    def _numbers_of(self, aip: str) -> list[int]:
        return [one.held[aip].lease.number for one in self.processes if aip in one.held]

    def _still_there(self, held: _Held) -> bool:
        with self.processes[0].catalogue.database.transaction() as connection:
            query = text("SELECT 1 FROM lease WHERE number = :n")
            return connection.execute(query, {"n": held.lease.number}).first() is not None

    @rule(number=st.integers(0, 2), aip=st.sampled_from(_AIPS))
    def check(self, number: int, aip: str) -> None:
        """What the stores ask: never yes to two processes."""
        process = self._alive(number)
        if process is None or aip not in process.held:
            return
        held = process.held[aip]
        try:
            held.lease.check()
        except LeaseLost:
            return
        assert held.lease.number == max(self._numbers_of(aip)), "two processes may write to one AIP"

    @rule(number=st.integers(0, 2))
    def beat(self, number: int) -> None:
        """The heartbeat of a process that is not stalled."""
        process = self._alive(number)
        if process is not None and process.held:
            process.catalogue.database.heartbeat.beat()

    @rule(seconds=st.sampled_from([1.0, 30.0, 80.0, LEASE_TTL_S + 1]))
    def wait(self, seconds: float) -> None:
        """Time passes, for all and for the database."""
        self.time.now_s += seconds
        if self.postgresql:
            with self.processes[0].catalogue.database.transaction() as connection:
                query = text("UPDATE process SET heartbeat = heartbeat - :ms")
                connection.execute(query, {"ms": int(seconds * 1000)})

    @rule(number=st.integers(0, 2))
    @precondition(lambda self: len(self.time.dead) < 2)
    def die(self, number: int) -> None:
        """SIGKILL: nothing is given up."""
        process = self.processes[number]
        self.time.dead.add(process.owner)
        for aip, held in process.held.items():
            self.left.append(_Left(process.machine, aip, self.time.now_s, held))
        process.held.clear()

    @invariant()
    def one_row_each(self) -> None:
        """Never two leases of one resource."""
        rows = self.processes[0].catalogue.leases.all()
        assert len({row.resource for row in rows}) == len(rows)

    def teardown(self) -> None:
        left = [one.held for one in self.left]
        for held in [*left, *(one for process in self.processes for one in process.held.values())]:
            held.context.__exit__(None, None, None)  # here, and not whenever it is collected
        for process in self.processes:
            process.catalogue.database.engine.dispose()


@pytest.fixture
def leases_url(catalogue_url: str) -> Iterator[str]:
    """A database with the AIPs that are fought for."""
    made = Catalogue(catalogue_url)
    made.migrate()
    for urn in _AIPS:
        made.aips.register(_row(urn), copies=(), formats=(), events=(), files=())
    yield catalogue_url
    made.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_whatever_the_order(leases_url: str) -> None:
    """Hypothesis looks for an order of steps in which two processes write, or a free lease is refused."""

    class Here(_Leases):
        url = leases_url
        postgresql = leases_url.startswith("postgresql")

    steps = settings(
        max_examples=60, stateful_step_count=30, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Here, settings=steps)


def test_a_process_recognises_its_machine() -> None:
    """By boot and process-id namespace; a process that has ended is dead, a foreign one cannot be seen."""
    assert not seen_dead(current_owner())
    machine, _, _ = current_owner().partition(":")
    assert seen_dead(f"{machine}:{2**22 + 1}:1")
    assert seen_dead(f"{current_owner()}0"), "another process had this id before"
    assert not seen_dead("another-machine:1:1")
    assert owner_of(1) != current_owner()


def test_a_released_lease_is_free_at_once(leases_url: str) -> None:
    """Also where the process that held it lives on; and a refusal says who holds it and what for."""
    catalogue = Catalogue(leases_url)
    with catalogue.leases.leased(_AIPS[0], "audit", since=_SINCE):
        with (
            pytest.raises(Busy, match=r"is in use by audit \(process \d+ on .*, since 2026"),
            catalogue.leases.leased(_AIPS[0], "update", since=_SINCE),
        ):
            pass
        assert [(row.resource, row.purpose, row.live) for row in catalogue.leases.all()] == [
            (_AIPS[0], "audit", True)
        ]
    with catalogue.leases.leased(_AIPS[0], "update", since=_SINCE):
        pass
    assert catalogue.leases.all() == ()
    catalogue.close()
