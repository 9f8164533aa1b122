"""kill -9 of the S3 server, and of ourselves, at random requests: one intact AIP in the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_proxy import Asked, FaultyProxy
from requirements import LONG
from servers import Ministack, Server, client_of, keep_probe, new_bucket, store_settings, workspace_on

from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.ingest.run import ingest
from pipeline.preservation.reconcile import reconcile
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from storage.scratch import sweep_scratch

_CHILD = """
import sys
from pathlib import Path
from pipeline.ingest.run import ingest
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
settings = load_settings(Path(sys.argv[1]))
ingest(Path(sys.argv[2]), choose_agreement(settings, None), build_archive(settings))
"""
_REQUESTS = 56  # of one ingest of these SIPs; those below 5 come before anything is stored
_TRIES = 4


_COMMIT = ("PUT", "GET")  # at the commit, at its proof


def _points() -> list[int | str]:
    chance = random.Random(20261125)
    number = 10 if LONG else 4
    return [*sorted(chance.randrange(5, _REQUESTS) for _ in range(number)), *_COMMIT]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """A server of our own: it will be killed."""
    with Ministack(tmp_path_factory.mktemp("killed")) as made:
        yield made


def _archive(folder: Path, endpoint: str, bucket: str, probed: dict[str, Any]) -> Archive:
    settings = store_settings(Server(endpoint, "AK", "SK"), bucket)
    settings += "connect_timeout = 1\nread_timeout = 2\nattempts = 2\n"
    home = workspace_on(folder, settings)
    keep_probe(home, "cloud", {**probed, "endpoint": endpoint}, bucket)
    return build_archive(load_settings(home))


def _at(where: int | str, then: Callable[[], None]) -> Callable[[Asked], str | None]:
    """Do something at a request: half of them still reach the server."""
    arrives = random.Random(where).random() < 0.5
    done = threading.Event()

    def script(asked: Asked) -> str | None:
        here: set[int | str]
        commit = asked.path.endswith("/inventory.json") and "/v1/" not in asked.path
        here = {asked.number}
        if commit and asked.method != "HEAD":
            here.add(asked.method)
        if where in here and not done.is_set():
            done.set()
            then()
            return None if arrives else "drop before"
        return None

    return script


def _new_bucket(server: Ministack) -> str:
    """With an object beside ours: this server forgets an empty bucket when it dies."""
    reached = Server(server.endpoint, "AK", "SK")
    bucket = new_bucket(reached)
    client = client_of(reached)
    client.put_object(Bucket=bucket, Key="beside", Body=b"x")
    client.close()
    return bucket


def _sip(make_bag: Any, seed: object) -> tuple[Path, dict[str, bytes]]:
    chance = random.Random(str(seed))
    content = {f"f{n}.bin": chance.randbytes(2000) for n in range(6)}
    return make_bag(content, name=f"sip-{seed}"), content


def _ends_with_one_intact_aip(
    folder: Path, server: Ministack, bucket: str, sip: Path, probed: dict[str, Any]
) -> int:
    """Tried again as an orchestrator would; the number of tries."""
    archive = _archive(folder, server.endpoint, bucket, probed)
    sweep_scratch(archive.work)
    agreement = choose_agreement(load_settings(folder / "home"), None)
    tries = 0
    while tries < _TRIES:
        tries += 1
        result = ingest(sip, agreement, archive)
        if result.outcome != "failed":
            break
    assert result.outcome in ("stored", "duplicate"), result.reason
    (report,) = verify_archive(archive, None)
    assert (report.outcome, report.problems) == ("intact", ())
    assert list(reconcile(archive)) == []
    store = archive.repositories[0].store
    assert sum(key.endswith("/0=ocfl_object_1.1") for key in store.list("")) == 1
    assert not list(archive.work.iterdir())
    archive.catalogue.close()
    store._client.close()
    return tries


@pytest.mark.parametrize("where", _points())
def test_the_server_is_killed(
    where: int | str, server: Ministack, ministack_probe: dict[str, Any], make_bag, tmp_path: Path
) -> None:
    """In the middle of a request or before it; it comes back at once, or only after we gave up."""
    sip, content = _sip(make_bag, where)
    bucket = _new_bucket(server)
    back = threading.Event()
    at_once = random.Random(f"back {where}").random() < 0.5

    def restart() -> None:
        server.kill()
        if at_once:
            server.start()
        back.set()

    def kill() -> None:
        threading.Timer(random.Random(where).random() * 0.01, restart).start()

    proxy = FaultyProxy(server.endpoint, _at(where, kill))
    archive = _archive(tmp_path, proxy.endpoint, bucket, ministack_probe)
    began = time.monotonic()
    result = ingest(sip, choose_agreement(load_settings(tmp_path / "home"), None), archive)
    seconds = time.monotonic() - began
    archive.catalogue.close()
    assert back.wait(30), "the ingest never got so far"
    if not at_once:
        server.start()
    proxy.close()
    archive.repositories[0].store._client.close()
    assert result.outcome in ("stored", "failed")
    assert "unexpected" not in (result.reason or ""), result.reason
    assert seconds < 30
    tries = _ends_with_one_intact_aip(tmp_path, server, bucket, sip, ministack_probe)
    print(f"\nkilled at {where}: {result.outcome} after {seconds:.1f} s, {tries} more: {result.reason}")
    assert all((sip / "data" / name).read_bytes() == data for name, data in content.items())


@pytest.mark.parametrize("where", _points())
def test_we_are_killed(
    where: int | str, server: Ministack, ministack_probe: dict[str, Any], make_bag, tmp_path: Path
) -> None:
    """The last request may or may not have reached the server: the next run sees to it."""
    sip, content = _sip(make_bag, f"ours {where}")
    bucket = _new_bucket(server)
    child: list[subprocess.Popen[bytes]] = []
    proxy = FaultyProxy(server.endpoint, _at(where, lambda: child[0].kill()))
    _archive(tmp_path, proxy.endpoint, bucket, ministack_probe).catalogue.close()
    child.append(
        subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(tmp_path / "home"), str(sip)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
    )  # fmt: skip
    _, said = child[0].communicate(timeout=60)
    proxy.close()
    assert child[0].returncode == -signal.SIGKILL, said.decode()
    tries = _ends_with_one_intact_aip(tmp_path, server, bucket, sip, ministack_probe)
    print(f"\nkilled at {where}: {tries} more")
    assert all((sip / "data" / name).read_bytes() == data for name, data in content.items())
