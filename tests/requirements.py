"""What tests need from the machine, and how they say that it is missing."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

REQUIRE_ALL = os.environ.get("STELE_REQUIRE_ALL") == "1"


def unavailable(reason: str) -> None:
    """Skip with the reason; in the full run a skip is a failure."""
    if REQUIRE_ALL:
        pytest.fail(f"the full run must not skip: {reason}")
    pytest.skip(reason)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
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
