"""Processes, time and faults: who runs next, what goes wrong, decided by one seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from greenlet import getcurrent, greenlet

__all__ = ["WRITES", "Fault", "Killed", "Process", "Violation", "World"]

_START = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
_SWITCH_ONE_IN = 4
_MAX_STEPS = 60_000
WRITES = frozenset({"put", "replace", "delete", "sync", "catalogue write", "quarantine"})


class Killed(BaseException):
    """The process is gone: nothing it does from here on has any effect."""


class Violation(BaseException):
    """Something that must never happen did. No ``except Exception`` of the product may hide it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, at the first step from ``step`` on at which it can."""

    step: int
    kind: str
    store: str = ""
    number: int = 0
    victim: int = -1
    """The operation that it strikes, at a step of its own; -1: whoever is at work at that step of all."""
    at_end: bool = False
    """Strikes when the victim has told its user that it is done, at no step."""
    at_write: bool = False
    """``step`` counts the victim's writes alone: what is between two of them is where order matters."""


@dataclass(eq=False)
class Process:
    """One run of one command on one machine."""

    name: str
    machine: str
    pid: int
    run: Callable[[Process], Any]
    dead: bool = False
    ended: bool = False
    stalled_until: float = 0.0
    paused: int = 0
    """Not 0: it waits, with its heartbeat going on, until nobody else can run; the lowest is next."""
    last_beat: float = 0.0
    result: Any = None
    error: BaseException | None = None
    seen: set[tuple[str, str, str]] = field(default_factory=set)
    """(store, key, SHA-512) that this process has read whole; or, an ingest, written and proved on arrival."""
    beat: Callable[[], None] | None = None
    steps: int = 0
    writes: int = 0
    fates: list[Fault] = field(default_factory=list)
    """What strikes it at steps of its own."""

    @property
    def owner(self) -> str:
        """As it signs leases."""
        return f"{self.machine}:{self.pid}:1"


class World:
    """The hub: one process runs at a time, until the next call to a store or the catalogue."""

    def __init__(self, seed: int, faults: list[Fault]) -> None:
        self.chance = random.Random(seed)
        self.faults = sorted(faults, key=lambda fault: fault.step)
        self.pending: list[tuple[float, Callable[[], None]]] = []
        self.now = 0.0
        self.wall_offset = 0.0
        self.steps = 0
        self.processes: list[Process] = []
        self.quiet = False
        """Recovery: nothing goes wrong any more."""
        self.stores: dict[str, Any] = {}
        self.stated: set[tuple[str, str, str, str]] = set()
        """(AIP, store, version, moment) of every “verified” that its speaker had seen."""
        self.catalogue_down_until = 0.0
        self.quarantine_full = False
        self.catalogue_lost = False
        self.catalogue_old = False
        """It was lost, and a backup from before the run is in its place."""
        self.changed = True
        """Whether a store or the catalogue has changed since the model last looked."""
        self.on_step: Callable[[], None] = lambda: None
        self.on_difference: Callable[[str, str, str], None] = lambda kind, store, subject: None
        self.on_power_cut: Callable[[], None] = lambda: None
        self.on_catalogue_lost: Callable[[], None] = lambda: None
        self.on_old_backup: Callable[[], None] = lambda: None
        self.log: list[str] = []
        self.current: Process | None = None
        self._hub = getcurrent()
        self._greenlets: dict[Process, greenlet] = {}

    def wall(self) -> datetime:
        """The clock people see; it may jump."""
        moment = _START + timedelta(seconds=int(self.now + self.wall_offset))
        return moment.replace(microsecond=0)

    def note(self, text: str) -> None:
        """A line of the story that a failing seed tells."""
        self.log.append(
            f"{self.steps:5} {self.now:8.1f}s {self.current.name if self.current else '-'}: {text}"
        )

    def spawn(self, process: Process) -> None:
        """Add a process; it starts when it is its turn."""
        self.processes.append(process)

        def body() -> None:
            try:
                process.result = process.run(process)
            except Killed:
                pass
            except Violation:
                raise
            except Exception as error:
                process.error = error
            finally:
                process.ended = True

        self._greenlets[process] = greenlet(body, parent=self._hub)

    def run(self) -> None:
        """Until every process has ended or is dead."""
        while True:
            ready = [p for p in self.processes if not p.ended and not p.dead]
            if not ready:
                return
            awake = [p for p in ready if p.stalled_until <= self.now]
            if not awake:
                self.now = min(p.stalled_until for p in ready)
                continue
            running = [p for p in awake if not p.paused]
            if not running:
                running = [min(awake, key=lambda p: p.paused)]
                running[0].paused = 0
            self._resume(self.chance.choice(running))

    def run_only(self, process: Process) -> None:
        """One process to its end; the others wait."""
        while not process.ended and not process.dead:
            self._resume(process)

    def _resume(self, process: Process) -> None:
        self.current = process
        self._greenlets[process].switch()
        if process.ended and process.error is None and not process.dead and not self.quiet:
            for fault in process.fates:
                if fault.at_end:
                    self._break(fault, process)
        self.current = None

    def kill(self, process: Process) -> None:
        """SIGKILL."""
        if not process.ended and not process.dead:
            process.dead = True
            self.note(f"KILLED {process.name}")

    def step(self, kind: str) -> None:
        """Called by a process before each call to a store or the catalogue."""
        process = self.current
        assert process is not None
        if process.dead:
            raise Killed
        self.steps += 1
        if self.steps > _MAX_STEPS:
            raise Violation("the operations do not come to an end")
        self.now += self.chance.random() * 0.5
        self._advance()
        self.on_step()
        process.steps += 1
        writes = kind in WRITES
        process.writes += writes
        if not self.quiet:
            self._strike(process, kind)
            for fault in process.fates:
                at = process.writes if fault.at_write else process.steps
                if not fault.at_end and fault.step == at and (writes or not fault.at_write):
                    self._apply(fault, process, kind)
        if process.dead:
            self._hub.switch()
            raise Killed
        if process.stalled_until > self.now or process.paused or self.chance.randrange(_SWITCH_ONE_IN) == 0:
            self._hub.switch()
            if process.dead:
                raise Killed

    def sleep(self, seconds: float) -> None:
        """A process waits for a lease."""
        process = self.current
        assert process is not None
        process.stalled_until = self.now + max(seconds, 5.0)  # fewer steps for a long wait
        process_beats = process.beat
        self._hub.switch()
        if process.dead:
            raise Killed
        if process_beats is not None:
            self._beat(process)

    def _advance(self) -> None:
        """What happens by itself: late writes arrive, heartbeats are sent."""
        due = [one for one in self.pending if one[0] <= self.now]
        if due:
            self.pending = [one for one in self.pending if one[0] > self.now]
            for _, effect in due:
                effect()
        for process in self.processes:
            awake = not process.dead and not process.ended and process.stalled_until <= self.now
            if process.beat and awake and self.now - process.last_beat >= 20:
                self._beat(process)

    def _beat(self, process: Process) -> None:
        if process.beat is not None and self.now >= self.catalogue_down_until:
            process.last_beat = self.now
            process.beat()

    def _strike(self, process: Process, kind: str) -> None:
        while self.faults and self.faults[0].step <= self.steps:
            if not self._apply(self.faults[0], process, kind):
                return
            self.faults.pop(0)

    def _apply(self, fault: Fault, process: Process, kind: str) -> bool:
        """Do it; False when it has to wait for another kind of call."""
        if fault.store:
            self.stores[fault.store].arm(fault)
            self.note(f"{fault.kind} on {fault.store}")
            return True
        if fault.kind.startswith("stall"):
            if fault.kind == "stall at the catalogue" and (
                not kind.startswith("catalogue") or process.beat is None
            ):
                return False  # just before it writes what it has done
            process.stalled_until = self.now + fault.number
            self.note(f"stalled for {fault.number} s before a call to {kind}")
            return True
        self._break(fault, process)
        return True

    def _break(self, fault: Fault, process: Process) -> None:
        self.note(f"{fault.kind} {fault.number}")
        match fault.kind:
            case "kill":
                self.kill(process)
            case "kill machine":
                for one in self.processes:
                    if one.machine == process.machine:
                        self.kill(one)
            case "pause":
                process.paused = 1 + max(one.paused for one in self.processes)
            case "power cut" | "catalogue lost" | "power cut, catalogue lost" | "old backup":
                self._disaster(fault.kind)
            case "clock jump":
                self.wall_offset += fault.number
            case "catalogue down":
                self.catalogue_down_until = self.now + fault.number
            case "quarantine full":
                self.quarantine_full = True
            case _:
                raise AssertionError(fault)

    def _disaster(self, kind: str) -> None:
        for one in self.processes:
            self.kill(one)
        if kind.startswith("power cut"):
            self.on_power_cut()
        if kind.endswith("catalogue lost"):
            self.catalogue_lost = True
            self.on_catalogue_lost()
        if kind == "old backup":
            self.catalogue_lost = self.catalogue_old = True
            self.on_old_backup()
