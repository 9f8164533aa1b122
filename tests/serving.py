"""``stele serve`` for tests: started on free ports, asked through Prefect's API, stopped or killed."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from requirements import free_port

from stele.settings import load_settings

_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_TABLES: list[bytes] = []
_CLIENT = "00000000-0000-0000-0000-000000000001"


@dataclass(frozen=True)
class Served:
    """A workspace under ``stele serve``."""

    home: Path
    prefect: str
    dashboard: str
    ready_after: float
    process: subprocess.Popen[bytes]

    @property
    def deployments(self) -> dict[str, str]:
        """Ids by name."""
        return dict(json.loads((self.home / "orchestration.json").read_text("utf-8"))["deployments"])

    @property
    def password(self) -> dict[str, str]:
        """The header by which a script signs in."""
        auth = load_settings(self.home).prefect.auth.get_secret_value()
        return {"Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"} if auth else {}

    @property
    def said(self) -> str:
        """What it told on the terminal."""
        return (self.home / "serve.log").read_text("utf-8", "replace")

    def ask(self, path: str, body: object = None, method: str = "") -> Any:
        """Prefect's API: (answer), or HTTPError."""
        headers = {"Content-Type": "application/json", **self.password}
        if body is not None:
            asked = urllib.request.Request(
                f"{self.prefect}/api/csrf-token?client={_CLIENT}", headers=headers
            )
            token = json.load(urllib.request.urlopen(asked))
            headers |= {"Prefect-Csrf-Token": token["token"], "Prefect-Csrf-Client": token["client"]}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.prefect}/api/{path}", data, headers, method=method or None)
        for timeout_s in (0.5, 1, 2, 4, 0):
            try:
                with urllib.request.urlopen(request, timeout=90) as answer:
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:  # its SQLite is locked for a moment
                if error.code != 503 or not timeout_s:
                    raise
                error.close()
                time.sleep(timeout_s)
        return None

    def start_run(self, deployment: str, **request: Any) -> str:
        """The id of a new run. Raises HTTPError (409) when the form's schema refuses it."""
        made = self.ask(
            f"deployments/{self.deployments[deployment]}/create_flow_run",
            {"parameters": {"request": request}, "state": {"type": "SCHEDULED"}},
        )
        return str(made["id"])

    def run(self, number: str) -> dict[str, Any]:
        """One run."""
        return dict(self.ask(f"flow_runs/{number}"))

    def ended(self, number: str, seconds: float = 90) -> dict[str, Any]:
        """The run when it is over."""
        return until(lambda: run if (run := self.run(number))["state_type"] in _ENDED else None, seconds)  # type: ignore[no-any-return]

    def last_run(self, flow: str) -> dict[str, Any] | None:
        """The newest run of a flow that no schedule made."""
        runs = self.ask(
            "flow_runs/filter",
            {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_DESC", "limit": 20},
        )
        return next((run for run in runs if not run["auto_scheduled"]), None)

    def logged(self, number: str) -> list[tuple[str, str]]:
        """(logger, line) of a run's own log in the Prefect UI."""
        asked = {"logs": {"flow_run_id": {"any_": [number]}}, "sort": "TIMESTAMP_ASC"}
        return [(line["name"], line["message"]) for line in self.ask("logs/filter", asked)]

    def artifact(self, number: str, key: str) -> str:
        """The text of a run's artifact."""
        asked = {"artifacts": {"flow_run_id": {"any_": [number]}, "key": {"any_": [key]}}}
        (found,) = self.ask("artifacts/filter", asked)
        return str(found["data"])

    def stop(self) -> None:
        """Ctrl-C, as a person would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(90)

    def kill(self) -> None:
        """A power failure: every process at once, with no chance to say anything."""
        everyone = [self.process.pid, *_descendants(self.process.pid)]
        for pid in everyone:
            os.kill(pid, signal.SIGSTOP)  # nobody sees the others die
        for pid in everyone:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in everyone))


def start_serving(
    home: Path, *words: str, ports: tuple[int, int] | None = None, settings: str = ""
) -> Served:
    """Start it, and wait until it says that it is ready. ``settings`` go before everything else."""
    config = home / "stele.toml"
    if ports is None:
        ports = free_port(), free_port()
        config.write_text(
            f"{settings}\n{config.read_text('utf-8')}\n[prefect]\nport = {ports[0]}\n"
            f"[dashboard]\nport = {ports[1]}\n[schedule]\nreplicate = ''\n[nightly]\nquiet_seconds = 0\n",
            "utf-8",
        )
    _lend_database(home)
    began, log = time.monotonic(), home / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("stele"), "serve", "--home", home, "--grace", "20", *words],
            stderr=out, stdout=out, env={**os.environ, "PREFECT_SERVER_LOGGING_LEVEL": "WARNING"},
        )  # fmt: skip
    while b"Ready" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() - began > 150:
            process.terminate()
            process.wait(90)
            raise AssertionError(log.read_text("utf-8", "replace"))
        time.sleep(0.05)
    ready = time.monotonic() - began
    addresses = (f"http://127.0.0.1:{port}" for port in ports)
    return Served(home, *addresses, ready, process)


def _lend_database(home: Path) -> None:
    """Prefect's tables, made once: its first start takes ten seconds for them."""
    place = home / "prefect/prefect.db"
    if place.exists():
        return
    place.parent.mkdir(exist_ok=True)
    if not _TABLES:
        environment = {**os.environ, "PREFECT_HOME": str(place.parent), "DO_NOT_TRACK": "1"}
        subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"],
            env=environment, check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        _TABLES.append(place.read_bytes())
    place.write_bytes(_TABLES[0])


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What the condition gives when it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not come to pass in time")


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [one for child in children for one in (child, *_descendants(child))]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
