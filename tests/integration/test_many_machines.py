"""Several machines on one PostgreSQL: claims of the living hold, those of the dead are taken over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bag_builder import bag_builder
from postgres_server import Postgres, make_place, programs, remove
from requirements import unavailable
from serving import until

from stele.settings import load_settings
from stele.workspace import make_workspace
from storage.catalogue import Catalogue, current_owner
from storage.errors import StorageError

_STELE = Path(sys.executable).with_name("stele")


def _workspace(folder: Path, url: str, sips: int) -> Path:
    home = folder / "home"
    make_workspace(home)
    config = home / "stele.toml"
    text = f'catalogue = "{url}"\n{config.read_text("utf-8")}\n[nightly]\nquiet_seconds = 0\n'
    config.write_text(text, "utf-8")
    build = bag_builder(folder)
    for number in range(sips):
        place = home / f"dropbox/agency-{number % 10}/sip-{number}"
        place.parent.mkdir(exist_ok=True)
        build({"a.txt": str(number).encode()}, name=f"sip-{number}").rename(place)
    return home


def _nightly(home: Path, machine: str = "") -> subprocess.Popen[bytes]:
    """A nightly run on this machine, or in a container: with process ids and a host name of its own."""
    words = [str(_STELE), "nightly", "--no-audit", "--json", "--home", str(home)]
    if machine:
        alone = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        words = [*alone, "sh", "-c", f'hostname {machine}; exec "$@"', "sh", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, start_new_session=True)


def _receipts(home: Path) -> int:
    return len(list((home / "receipts").glob("*.json")))


@pytest.fixture
def other_machine() -> str:
    """The name of a machine that is another to whoever asks for it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        unavailable("another host name needs root and unshare")
    return "other-machine"


def test_many_begin_at_once(catalogue_url: str) -> None:
    """An empty database is migrated by one of many; none fails."""
    url = catalogue_url
    code = f"from storage.catalogue import Catalogue; c = Catalogue({url!r}); c.migrate(); c.close()"
    many = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(6)]
    for one in many:
        _, error = one.communicate(timeout=60)
        assert one.returncode == 0, error.decode()
    catalogue = Catalogue(url)
    catalogue.migrate()
    assert catalogue.aips.totals() == (0, 0, 0)
    catalogue.close()


def test_no_secret_in_errors(postgres: Postgres) -> None:
    """A wrong password and a missing database are said without the password."""
    url = postgres.new_database()
    for wrong in (url.replace("only-for-tests", "another-secret"), f"{url}-not"):
        catalogue = Catalogue(wrong)
        with pytest.raises(StorageError) as refused:
            catalogue.migrate()
        assert "another-secret" not in str(refused.value)
        assert "only-for-tests" not in str(refused.value)
        catalogue.close()


def test_the_other_machine_lives(tmp_path: Path, postgres: Postgres, other_machine: str) -> None:
    """What it works on is left to it, however long it takes; when it stops giving signs it is taken over."""
    url = postgres.new_database()
    home = _workspace(tmp_path, url, 30)
    other = _nightly(home, other_machine)
    until(lambda: _receipts(home) >= 5)
    os.killpg(other.pid, signal.SIGSTOP)  # at work, as far as anybody can see
    here = _nightly(home)
    said, error = here.communicate(timeout=120)
    assert here.returncode == 0, error.decode()
    catalogue = Catalogue(url)
    (claimed,) = catalogue.deliveries.latest("running")
    assert claimed.owner.partition(":")[0] != current_owner().partition(":")[0]
    assert b'"claimed_elsewhere": 1' in said
    os.killpg(other.pid, signal.SIGKILL)
    other.communicate()
    again = _nightly(home)
    assert b'"claimed_elsewhere": 1' in again.communicate(timeout=120)[0], (
        "it may be alive, for all we know"
    )
    _age_the_signs(catalogue)
    last = _nightly(home)
    said, error = last.communicate(timeout=120)
    assert last.returncode == 0, error.decode()
    assert catalogue.deliveries.latest("running") == ()
    assert catalogue.aips.totals()[0] == 30
    catalogue.close()


def _age_the_signs(catalogue: Catalogue) -> None:
    """As if ten minutes had passed."""
    from sqlalchemy import text

    with catalogue.database.transaction() as connection:
        connection.execute(text("UPDATE process SET heartbeat = heartbeat - 660000"))


def test_signs_of_life_go_on(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in the middle of hours of work says that it lives, without touching its claim."""
    from storage.catalogue import heartbeats

    monkeypatch.setattr(heartbeats, "HEARTBEAT_INTERVAL_S", 0.2)
    catalogue = Catalogue(postgres.new_database())
    catalogue.migrate()
    assert catalogue.deliveries.claim("f" * 64, "p", "a", "2026-01-01T00:00:00Z", retry=())
    _age_the_signs(catalogue)
    from sqlalchemy import text

    def fresh() -> Any:
        with catalogue.database.transaction() as connection:
            query = text("SELECT heartbeat > extract(epoch FROM now()) * 1000 - 60000 FROM process")
            return connection.execute(query).scalar_one()

    until(fresh, 10)
    catalogue.close()


def test_the_database_crashes_in_the_night(tmp_path: Path) -> None:
    """The nightly run fails, loudly or after having gone on; the next one ends with each once."""
    if programs() is None:
        unavailable("PostgreSQL (Debian's postgresql) is not installed")
    place = make_place()
    server = Postgres(place)
    try:
        url = server.new_database()
        home = _workspace(tmp_path, url, 40)
        night = _nightly(home)
        until(lambda: _receipts(home) >= 5)
        server.stop("immediate")
        time.sleep(1)
        server.start()
        _, error = night.communicate(timeout=120)
        assert night.returncode in (0, 3), error.decode()
        assert b"Traceback" not in error
        last = _nightly(home)
        _, error = last.communicate(timeout=120)
        assert last.returncode == 0, error.decode()
        catalogue = Catalogue(url)
        assert catalogue.aips.totals()[0] == 40
        assert {row.outcome for row in catalogue.deliveries.latest()} <= {"stored", "duplicate"}
        catalogue.close()
        rebuilt = server.new_database()
        config = home / "stele.toml"
        config.write_text(config.read_text("utf-8").replace(url, rebuilt), "utf-8")
        done = subprocess.run(
            [_STELE, "store", "rebuild", "--home", home], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        catalogue = Catalogue(load_settings(home).catalogue_url)
        assert catalogue.aips.totals()[0] == 40
        catalogue.close()
    finally:
        server.stop()
        remove(place)
