"""A PostgreSQL for tests, from Debian's package: on loopback, with a password, stopped by process id."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from requirements import free_port

_PASSWORD = "only-for-tests"


def programs() -> Path | None:
    """Where the newest installed server's programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """One cluster of its own; root lends it to the user postgres, because initdb refuses root."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._bin = place
        self.port = free_port()
        found = programs()
        assert found is not None
        self._bin = found
        password = place / "password"
        password.write_text(_PASSWORD)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "postgres", place], check=True)
        self._run(
            "initdb", "-D", str(place / "data"), "-E", "UTF8", "--locale=C.UTF-8", "-U", "stele",
            "-A", "scram-sha-256", f"--pwfile={password}",
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Serve; returns when it answers."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._place} "
            "-c fsync=off -c max_connections=60"
        )
        self._run(
            "pg_ctl",
            "-D",
            str(self._place / "data"),
            "-w",
            "-o",
            options,
            "-l",
            str(self._place / "log"),
            "start",
        )

    def stop(self, mode: str = "fast") -> None:
        """``immediate`` is a crash."""
        self._run("pg_ctl", "-D", str(self._place / "data"), "-w", "-m", mode, "stop")

    def new_database(self) -> str:
        """The URL of an empty database, as an operator would write it."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "stele", name)
        return f"postgresql://stele:{_PASSWORD}@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._bin / program), *words]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", check=False, timeout=90,
            env={"PATH": os.environ["PATH"], "PGPASSWORD": _PASSWORD, "LANG": "C.UTF-8"},
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr.decode())


def make_place() -> Path:
    """A folder the user postgres can reach (pytest's own are closed to others)."""
    place = Path(tempfile.mkdtemp(prefix="stele-pg-"))
    place.chmod(0o700)
    return place


def remove(place: Path) -> None:
    """Once it is stopped."""
    time.sleep(0.1)
    shutil.rmtree(place, ignore_errors=True)
