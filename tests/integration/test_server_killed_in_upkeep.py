"""kill -9 of the S3 server while copies are made, repaired, updated and removed: nothing is lost."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from faulty_proxy import Asked, FaultyProxy
from requirements import LONG
from servers import Ministack, Server, client_of, keep_probe, new_bucket, store_settings, workspace_on

from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive, verify_object
from pipeline.errors import PipelineError
from pipeline.ingest.run import ingest
from pipeline.preservation.audit import AuditBudget, audit
from pipeline.preservation.reconcile import reconcile
from pipeline.preservation.removal import approve_removal, request_removal
from pipeline.preservation.replicate import replicate
from pipeline.preservation.update import Change, update_aip
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from storage.errors import StorageError
from storage.protocol import Upload
from storage.states import CopyState

_BUDGET = AuditBudget(
    ttl=timedelta(days=1), max_bytes=1 << 40, max_objects=1 << 40, max_seconds=1e9, repair=True, quarantine=Path("aside"),
    everything=True,
)  # fmt: skip
_WORK = ("replicate", "repair", "update", "remove")
_TIMES = 13 if LONG else 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """A server of our own: it will be killed."""
    with Ministack(tmp_path_factory.mktemp("killed")) as made:
        yield made


def _settings(endpoint: str, bucket: str) -> str:
    cloud = store_settings(Server(endpoint, "AK", "SK"), bucket)
    quick = "connect_timeout = 1\nread_timeout = 2\nattempts = 2\n"
    return '[[stores]]\nkind = "files"\nname = "disk"\npath = "disk"\n' + cloud + quick


def _through(home: Path, endpoint: str, bucket: str, probed: dict[str, Any]) -> Archive:
    """The same archive, its cloud reached at another address."""
    (home / "stele.toml").write_text(_settings(endpoint, bucket))
    keep_probe(home, "cloud", {**probed, "endpoint": endpoint}, bucket)
    return build_archive(load_settings(home))


def _close(archive: Archive) -> None:
    archive.catalogue.close()
    archive.repositories[1].store._client.close()  # type: ignore[attr-defined]


@pytest.fixture
def stored(server: Ministack, ministack_probe: dict[str, Any], make_bag, tmp_path: Path) -> tuple[str, str]:
    """One AIP on disk and in the cloud: the bucket, its id."""
    reached = Server(server.endpoint, "AK", "SK")
    bucket = new_bucket(reached)
    client = client_of(reached)
    client.put_object(Bucket=bucket, Key="beside", Body=b"x")  # it forgets an empty bucket when it dies
    client.close()
    home = workspace_on(tmp_path, _settings(server.endpoint, bucket))
    keep_probe(home, "cloud", {**ministack_probe, "endpoint": server.endpoint}, bucket)
    archive = build_archive(load_settings(home))
    content = {f"f{n}.bin": random.Random(n).randbytes(2000) for n in range(6)}
    result = ingest(make_bag(content), choose_agreement(load_settings(home), None), archive)
    assert result.outcome == "stored", result.reason
    _close(archive)
    return bucket, str(result.aip)


def _prepare(work: str, archive: Archive, aip: str) -> None:
    """Make what the work is needed for."""
    cloud = archive.repositories[1]
    root = cloud.layout.object_root(aip)
    match work:
        case "replicate":
            cloud.remove(aip)
            pending = [copy for copy in archive.catalogue.copies.of(aip) if copy.store == "cloud"]
            archive.catalogue.copies.put(replace(pending[0], state=str(CopyState.PENDING), version=""))
        case "repair":
            keys = [key for key in cloud.store.list(f"{root}/") if key.endswith(".bin")]
            for key in keys[:4]:
                cloud.store.replace(Upload.of(key, b"rot"))
            cloud.store.delete(f"{root}/inventory.json.sha512")
            cloud.store.put([Upload.of(f"{root}/v1/content/stray", b"x")])
        case "remove":
            request_removal(archive, aip, reason="list 4", person="A. Clerk")


def _work(work: str, archive: Archive, aip: str, folder: Path) -> None:
    """Do it; done again when it was done it changes nothing."""
    match work:
        case "replicate":
            list(replicate(archive))
        case "repair":
            list(audit(archive, replace(_BUDGET, quarantine=folder / "aside")))
        case "update":
            row = archive.catalogue.aips.get(aip)
            if row is not None and row.version == "v1":
                ead = folder / "ead.xml"
                ead.write_bytes(b'<ead xmlns="urn:isbn:1-931666-22-9"><eadheader/></ead>')
                update_aip(aip, Change("described", "B. Archivist", metadata=(ead,)), archive)
            list(replicate(archive))
        case "remove":
            row = archive.catalogue.aips.get(aip)
            if row is not None and row.state != "removed":
                approve_removal(archive, aip, person="B. Archivist")


def _requests(work: str, home: Path, endpoint: str, where: tuple[str, str], probed: dict[str, Any]) -> int:
    """How many the work makes undisturbed, in a copy of the workspace of which nothing is kept."""
    trial = home.with_name("trial")
    shutil.copytree(home, trial)
    proxy = FaultyProxy(endpoint, lambda _: None)
    archive = _through(trial, proxy.endpoint, where[0], probed)
    _work(work, archive, where[1], trial)
    _close(archive)
    proxy.close()
    return proxy.requests.total()


@pytest.mark.parametrize("work", _WORK)
@pytest.mark.parametrize("time", range(_TIMES))
def test_the_server_dies_and_comes_back(
    work: str, time: int, server: Ministack, stored: tuple[str, str], ministack_probe, tmp_path: Path
) -> None:
    """Killed at a random request, which arrives or not; the disk's copy is whole all the time."""
    (bucket, aip), home = stored, tmp_path / "home"
    archive = _through(home, server.endpoint, bucket, ministack_probe)
    _prepare(work, archive, aip)
    _close(archive)
    kept = server.snapshot()
    total = _requests(work, home, server.endpoint, stored, ministack_probe)
    server.restore(kept)
    chance = random.Random(f"{work} {time}")
    where, arrives, at_once = chance.randint(1, total), chance.random() < 0.5, chance.random() < 0.5
    died = threading.Event()

    def script(asked: Asked) -> str | None:
        if asked.number != where:
            return None
        threading.Timer(chance.random() * 0.01, _kill(server, died, at_once=at_once)).start()
        return None if arrives else "drop before"

    proxy = FaultyProxy(server.endpoint, script)
    archive = _through(home, proxy.endpoint, bucket, ministack_probe)
    with suppress(StorageError, PipelineError):
        _work(work, archive, aip, tmp_path)
    assert died.wait(30), "the work never got so far"
    if not at_once:
        server.start()
    _close(archive)
    proxy.close()

    archive = _through(home, server.endpoint, bucket, ministack_probe)
    disk, cloud = archive.repositories
    if work != "remove":
        good = verify_object(disk.store, disk.layout.object_root(aip), aip)
        assert good.outcome == "intact", good.problems
    _work(work, archive, aip, tmp_path)
    if work == "remove":
        assert [row.id for row in archive.catalogue.aips.all("removed")] == [aip]
        assert [list(one.store.list(one.layout.object_root(aip) + "/")) for one in (disk, cloud)] == [
            [],
            [],
        ]
    else:
        reports = list(verify_archive(archive, None))
        assert [report.outcome for report in reports] == ["intact", "intact"], reports
        assert list(reconcile(archive)) == []
    _close(archive)
    print(f"\n{work}: server killed at request {where} of {total}")


def _kill(server: Ministack, died: threading.Event, *, at_once: bool) -> Callable[[], None]:
    def kill() -> None:
        server.kill()
        if at_once:
            server.start()
        died.set()

    return kill
