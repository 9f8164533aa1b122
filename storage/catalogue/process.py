"""Which process holds a claim or a lease, recognised after its death and from another container.

A machine is known by the boot id of its kernel and by the process-id namespace, not by its host name:
two containers of one name are two machines, and one machine that changes its name stays one.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ProcessRuntime", "current_owner", "host_of_machine", "owner_of", "seen_dead"]


@dataclass(frozen=True, slots=True)
class ProcessRuntime:
    """How the catalogue learns who asks and what time it is; a simulation brings its own."""

    owner: Callable[[], str]
    """This process: ``machine:pid:start``."""
    seen_dead: Callable[[str], bool]
    """Whether a process is known to be gone; False where it cannot be seen from here."""
    wall_clock_s: Callable[[], float]
    """Seconds since 1970; only databases without a clock of their own (SQLite) ask for it."""
    steady_clock_s: Callable[[], float]
    """Seconds that never jump and also count while the machine sleeps."""
    sleep: Callable[[float], None]
    background_heartbeat: bool = True
    """A thread renews the heartbeat. Without one, whoever built the catalogue calls ``beat``."""

    @classmethod
    def real(cls) -> ProcessRuntime:
        """This process on this machine."""
        return cls(current_owner, seen_dead, time.time, _boot_time_s, time.sleep)


def current_owner() -> str:
    """This process."""
    return _own(os.getpid())


@cache
def _own(pid: int) -> str:
    return owner_of(pid)


def owner_of(pid: int) -> str:
    """A process of this machine; one that is gone has no start time."""
    return f"{_machine()}:{pid}:{_start_ticks(pid)}"


def seen_dead(owner: str) -> bool:
    """Whether a process is gone: only the machine it ran on can tell."""
    machine, _, rest = owner.partition(":")
    pid, _, ticks = rest.partition(":")
    if machine != _machine() or not pid.isdecimal():
        return False
    now = _start_ticks(int(pid))
    if now == "?" and _is_hidden(int(pid)):
        return False
    return now != ticks


def _is_hidden(pid: int) -> bool:
    """Whether there is a process that /proc does not show us: another user's, mounted with hidepid."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return not Path(f"/proc/{pid}").exists()
    except OSError:
        return False
    return False


def host_of_machine() -> str:
    """The name people know this machine by; shown, never compared."""
    return socket.gethostname()


@cache
def _machine() -> str:
    """Boot id and process-id namespace: within both, a process id means one process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:  # no Linux: one name, one machine
        return socket.gethostname().replace(":", "-")
    return f"{boot}.{namespace}"


def _start_ticks(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "?"
    return "?" if fields[0] in ("Z", "X") else fields[19]  # a zombie does nothing any more


def _boot_time_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
