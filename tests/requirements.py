"""What tests need from the machine, and how they say that it is missing."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

REQUIRE_ALL = os.environ.get("STELE_REQUIRE_ALL") == "1"
LONG = os.environ.get("STELE_LONG") == "1"
"""`make test-long`: with many more kills, faults and combinations than a push can wait for."""


def unavailable(reason: str) -> None:
    """Skip with the reason; in the full run a skip is a failure."""
    if REQUIRE_ALL:
        pytest.fail(f"the full run must not skip: {reason}")
    pytest.skip(reason)


_PORTS_OF_ONE = 1500
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
_ports = iter(
    random.Random(os.getpid()).sample(range(_PORTS_OF_ONE), _PORTS_OF_ONE)  # not those of the run before
)


def free_port() -> int:
    """A loopback port nobody listens on, given out once.

    Below those that the system gives to connections, and for each of the test workers others: between
    this answer and the server's start nobody else takes it.
    """
    for number in _ports:
        port = 12_000 + _worker * _PORTS_OF_ONE + number
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free any more")


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Until the server answers anything at all; fails when it dies first."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, f"the server of {url} stopped"
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{url} did not answer within {seconds} s")


def wait_for_port(port: int, seconds: float = 120) -> None:
    """Until somebody listens on a loopback port: of a server that has put itself into the background."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port} after {seconds} s")
