"""A real browser, and a workspace that is served to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from requirements import free_port, unavailable


@dataclass(frozen=True)
class Served:
    """A workspace under ``stele serve``."""

    home: Path
    prefect: str
    dashboard: str
    ready_after: float


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium, without a screen."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        unavailable("no chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield made
        made.close()


def start_serving(home: Path, settings: str = "") -> tuple[subprocess.Popen[bytes], Served]:
    """Start it, and wait until both pages answer."""
    ports = free_port(), free_port()
    config = home / "stele.toml"
    config.write_text(
        f"{settings}\n{config.read_text('utf-8')}\n[prefect]\nport = {ports[0]}\n[dashboard]\nport = {ports[1]}\n"
        "[schedule]\nreplicate = ''\n[night]\nquiet_seconds = 0\n",
        "utf-8",
    )
    began = time.monotonic()
    log = home / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("stele"), "serve", "--home", home, "--grace", "20"],
            stderr=out, stdout=out, env={**os.environ, "PREFECT_SERVER_LOGGING_LEVEL": "WARNING"},
        )  # fmt: skip
    served = Served(home, f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", 0.0)
    while b"Ready" not in log.read_bytes():
        assert process.poll() is None, log.read_text("utf-8", "replace")
        assert time.monotonic() - began < 150, log.read_text("utf-8", "replace")
        time.sleep(0.1)
    for address in (served.prefect, f"{served.dashboard}/health"):
        urllib.request.urlopen(address, timeout=10).close()
    return process, Served(home, served.prefect, served.dashboard, time.monotonic() - began)


def stop_serving(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, as a person would."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture
def shots() -> Path | None:
    """Where pictures of the pages go, when somebody wants to look at them."""
    folder = os.environ.get("STELE_SHOTS")
    if not folder:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)
