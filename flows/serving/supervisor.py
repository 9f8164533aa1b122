"""``stele serve``: Prefect server, worker and dashboard as one, on this machine; stopped in good order."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import httpx

from packages.paths import printable
from pipeline.errors import PipelineError
from stele.processes import GRACE, children, die_with_parent, send_signal, stop
from stele.settings import PASSWORD_FILE, PrefectSettings, Settings, SettingsError
from storage.catalogue import owner_of, seen_dead

__all__ = ["Parts", "ServeFailed", "serve"]

_LARGEST_LOG = 50 << 20  # bytes; looked at when a part is started
_TIMEOUT_S = 120.0  # seconds until the server must answer: its first start makes a database
Say = Callable[[str], None]


class ServeFailed(PipelineError):
    """A part did not start, or stopped by itself; the message names it and its log."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is to run here; a machine that only works has no server and no dashboard."""

    server: bool = True
    worker: bool = True
    dashboard: bool = True


@dataclass(slots=True)
class _Running:
    """The processes, in the order in which they were started."""

    settings: Settings
    say: Say
    grace: float
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    stop_requests: int = 0

    def start(self, name: str, *words: str) -> None:
        """Start one; it dies with us, whatever kills us."""
        folder = self.settings.home / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        place = folder / f"{name}.log"
        if place.exists() and place.stat().st_size > _LARGEST_LOG:
            place.replace(folder / f"{name}.log.1")
        with place.open("ab") as log:
            self.processes[name] = subprocess.Popen(
                words, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                cwd=self.settings.home, start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip

    def check(self) -> None:
        """Raises ServeFailed when one has stopped by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                log = self.settings.home / "logs" / f"{name}.log"
                raise ServeFailed(
                    f"the {name} stopped (exit {process.returncode}); see {log}:\n{_tail(log)}"
                )

    def request_stop(self) -> None:
        """Asked to end; asked twice, at once."""
        self.stop_requests += 1


def serve(settings: Settings, parts: Parts, say: Say, *, grace: float = 60.0) -> None:
    """Run until SIGINT or SIGTERM. Runs at work get ``grace`` seconds to end; a second signal gives none.

    What is cut off then is resumed by the next run. Raises ServeFailed; SettingsError where the server
    has no password and the settings do not say that it needs none.
    """
    _require_password(settings, parts)
    running = _Running(settings, say, grace, _environment(settings))
    os.environ.update(
        {key: value for key, value in running.environment.items() if key.startswith("PREFECT_")}
    )
    before = {
        number: signal.signal(number, _asked_by(running)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        _start(running, parts)
        while not running.stop_requests:
            running.check()
            time.sleep(0.2)
        say("Stopping …")
    finally:
        _end(running)
        for number, handler in before.items():
            signal.signal(number, handler)


def _require_password(settings: Settings, parts: Parts) -> None:
    wanted = settings.prefect
    if not parts.server or wanted.auth.get_secret_value() or wanted.without_password:
        return
    raise SettingsError(
        f"Prefect has no password: whoever reaches port {wanted.port} could run any command as this user. "
        f"“stele init {settings.home}” makes one ({PASSWORD_FILE}); to go without, write "
        "without_password = true below [prefect] in stele.toml."
    )


def _asked_by(running: _Running) -> Callable[[int, FrameType | None], None]:
    return lambda *_: running.request_stop()


def _start(running: _Running, parts: Parts) -> None:
    settings, began = running.settings, time.monotonic()
    _free_ports(settings, parts)
    if parts.dashboard:
        running.start("dashboard", *_stele("dashboard", "--home", str(settings.home)))
    if parts.server:
        (settings.home / "prefect").mkdir(mode=0o700, exist_ok=True)
        running.start("prefect-server", sys.executable, "-m", "flows.serving.prefect_server")
    # Seconds to import, spent while the server starts; it reads the environment that was set above.
    from flows.serving.registration import crash_orphaned_runs, register

    _wait(running, f"{_api(settings)}/health", "Prefect server")
    if running.stop_requests:
        return
    ui = ui_address(settings.prefect)
    # A machine that only works leaves deployments and schedules to the one with the pages.
    try:
        known = asyncio.run(register(settings, ui)) if parts.server or parts.dashboard else {}
        crashed = asyncio.run(crash_orphaned_runs(settings))
    except Exception as error:
        raise ServeFailed(
            f"the Prefect server at {_api(settings)} rejected the deployment registration "
            f"({type(error).__name__}: {error}); is [prefect] auth in stele.toml right?"
        ) from error
    if crashed:
        running.say(f"Marked {crashed} orphaned flow run(s) as Crashed; the next run resumes them.")
    if parts.worker:
        from flows.deployments import POOL

        running.start(
            "worker", sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL,
            "--type", "process",
            "--name", f"{socket.gethostname()}-{secrets.token_hex(2)}",
            "--limit", str(settings.prefect.runs_at_once),
        )  # fmt: skip
    if parts.dashboard:
        wanted = settings.dashboard
        _wait(running, f"http://{wanted.host}:{wanted.port}/health", "dashboard")
    if running.stop_requests:
        return
    running.say(f"Ready after {time.monotonic() - began:.1f} s.")
    running.say(f"  Prefect UI  {ui}/v2/dashboard")
    if (settings.home / PASSWORD_FILE).exists() and settings.prefect.auth.get_secret_value():
        running.say(f"  Password    {printable(str(settings.home / PASSWORD_FILE))}")
    if known:
        running.say(f"  Deployments {', '.join(sorted(known))}")
    if parts.dashboard:
        running.say(f"  Dashboard   http://{settings.dashboard.host}:{settings.dashboard.port}/")
    running.say(f"  Logs        {printable(str(settings.home / 'logs'))}")


def _end(running: _Running) -> None:
    """The worker first, when its runs have ended or their time is up; the server last."""
    worker = running.processes.get("worker")
    if worker is not None and worker.poll() is None:
        _drain(running, worker)
    for name in ("worker", "dashboard", "prefect-server"):
        process = running.processes.get(name)
        if process is not None:
            stop(process)
    if running.stop_requests:
        running.say("Stopped.")


def _drain(running: _Running, worker: subprocess.Popen[bytes]) -> None:
    """Stop this machine's worker: no new runs here, those at work may end; other machines go on.

    A worker that is told to stop takes no new runs and does not pass the signal on. What remains at
    the end is told to stop itself, so that Prefect hears of it.
    """
    at_work = {pid: owner_of(pid) for pid in children(worker.pid)}
    send_signal(worker.pid, signal.SIGTERM)
    if at_work and running.stop_requests < 2:
        running.say(
            f"Waiting up to {running.grace:.0f} s for {len(at_work)} running flow run(s). "
            "Press Ctrl-C again to stop now."
        )
    end = time.monotonic() + running.grace
    while _alive(at_work) and time.monotonic() < end and running.stop_requests < 2:
        time.sleep(0.2)
    for pid in _alive(at_work):
        send_signal(pid, signal.SIGTERM)
    end = time.monotonic() + GRACE
    while _alive(at_work) and time.monotonic() < end:
        time.sleep(0.1)
    stop(worker)


def _alive(owners: Mapping[int, str]) -> list[int]:
    """Those that have not ended, by process id; one that was given out anew does not count."""
    return [pid for pid, owner in owners.items() if not seen_dead(owner)]


def _stele(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "stele.cli.main", *words)


def _environment(settings: Settings) -> dict[str, str]:
    """How Prefect is set up: nothing sent anywhere, no private servers, places freed after a crash."""
    wanted, auth = settings.prefect, settings.prefect.auth.get_secret_value()
    facts = {
        "STELE_HOME": str(settings.home),
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_API_URL": _api(settings),
        "PREFECT_SERVER_API_HOST": wanted.host,
        "PREFECT_SERVER_API_PORT": str(wanted.port),
        "PREFECT_UI_API_URL": "/api",
        "PREFECT_UI_URL": ui_address(wanted),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ui_address(wanted),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "3",  # somebody waits before the form
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "pipeline,storage,stele",  # our lines in the run's own log
    }
    if auth:
        facts |= {"PREFECT_SERVER_API_AUTH_STRING": auth, "PREFECT_API_AUTH_STRING": auth}
    if database := wanted.database.get_secret_value():
        facts["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
    given = {k: v for k, v in os.environ.items() if k != "PREFECT_API_KEY"}  # it would win over auth
    fixed = (
        "STELE_HOME",
        "PREFECT_HOME",
        "PREFECT_API_URL",
        "PREFECT_SERVER_API_HOST",
        "PREFECT_SERVER_API_PORT",
    )
    return {**facts, **given, **{key: facts[key] for key in fixed}}


def _api(settings: Settings) -> str:
    wanted = settings.prefect
    return wanted.api or f"http://{wanted.host}:{wanted.port}/api"


def ui_address(wanted: PrefectSettings) -> str:
    """Where people reach the UI, without a slash at the end."""
    if wanted.ui:
        return wanted.ui.rstrip("/")
    return wanted.api.removesuffix("/api") if wanted.api else f"http://{wanted.host}:{wanted.port}"


def _free_ports(settings: Settings, parts: Parts) -> None:
    """A port in use is said before anything is started. Raises ServeFailed."""
    wanted = [("prefect", settings.prefect.host, settings.prefect.port, parts.server)]
    wanted.append(("dashboard", settings.dashboard.host, settings.dashboard.port, parts.dashboard))
    for name, host, port, needed in wanted:
        if not needed:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise ServeFailed(
                    f"cannot listen on {host}:{port} ({error.strerror}); "
                    f"is another one running? Set another with [{name}] port in stele.toml"
                ) from error


def _wait(running: _Running, url: str, name: str) -> None:
    end = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < end and not running.stop_requests:
        running.check()
        try:
            if httpx.get(url, timeout=2, follow_redirects=True).status_code < 500:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    if not running.stop_requests:
        raise ServeFailed(f"the {name} did not answer at {url} within {_TIMEOUT_S:.0f} s")


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-12:])
    except OSError:
        return ""
