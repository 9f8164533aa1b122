"""Processes that belong to this one: they end with it, and are stopped in good order."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

__all__ = ["GRACE", "children", "die_with_parent", "send_signal", "stop"]

GRACE = 10.0  # seconds that a process gets to end
_PR_SET_PDEATHSIG = 1


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and its whole group no more politely when it has not after ``GRACE``."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(GRACE)


def send_signal(pid: int, number: signal.Signals) -> None:
    """A signal to a process that may have ended already."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def children(pid: int) -> list[int]:
    """The processes that another one has started and that have not ended."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """To be called in a child: the system sends it this signal when its parent dies, however."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
