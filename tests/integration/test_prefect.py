"""A real Prefect server: it starts, a schedule creates runs, and the flows run in process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from requirements import free_port, wait_for

_REPOSITORY = Path(__file__).parent.parent.parent

# With the wrong SQLAlchemy everything seems to work, and no scheduled run is ever created.
_SCHEDULE = """
import asyncio, sys, time
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from flows.ingest import ingest

async def main():
    deployment = await ingest.to_deployment("nightly", cron="15 1 * * *")
    identifier = await deployment.apply()
    wanted = DeploymentFilter(id=DeploymentFilterId(any_=[identifier]))
    async with get_client() as client:
        end = time.monotonic() + 70
        while time.monotonic() < end:
            runs = await client.read_flow_runs(deployment_filter=wanted)
            if any(run.state_name == "Scheduled" for run in runs):
                print(len(runs))
                return
            await asyncio.sleep(1)
    sys.exit("no scheduled run within 70 s")

asyncio.run(main())
"""
_RUN = """
import asyncio, json, sys
from pathlib import Path
from flows.disseminate import DipRequest, disseminate
from flows.ingest import IngestRequest, ingest
home, out, *paths = map(Path, sys.argv[1:])
results = asyncio.run(ingest(IngestRequest(home=home, paths=tuple(paths))))
aip = next(r["aip"] for r in results if r["outcome"] == "stored")
folder = asyncio.run(disseminate(DipRequest(home=home, aip=aip, folder=out)))
print(json.dumps({"results": results, "dip": folder}))
"""


_NIGHT = """
import asyncio, json, sys
from pathlib import Path
from prefect.client.orchestration import get_client
from flows.nightly import NightRequest, nightly

async def main():
    report = await nightly(NightRequest(home=Path(sys.argv[1])))
    async with get_client() as client:
        (artifact,) = [a for a in await client.read_artifacts() if a.key == "night"]
    print(json.dumps({"report": report, "artifact": artifact.data}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server on loopback with a database of its own; the environment of its clients."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    program = Path(sys.executable).with_name("prefect")
    process = subprocess.Popen(
        [program, "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(f"{url}/health", process, 90)
        yield environment
    finally:
        process.terminate()
        process.wait(30)


def _python(code: str, environment: dict[str, str], *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env=environment, cwd=_REPOSITORY, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_schedule_creates_a_run(server: dict[str, str]) -> None:
    """Within 70 seconds of registering a cron there is a run in state Scheduled."""
    assert int(_python(_SCHEDULE, server)) > 0


def test_flows_run_in_process(server: dict[str, str], home: Path, make_bag, tmp_path: Path) -> None:
    """One good and one broken SIP: stored and rejected, a finished run; then a DIP of the good one."""
    good, broken = make_bag({"a.txt": b"a"}, name="good"), make_bag({"b.txt": b"b"}, name="broken")
    (broken / "data/b.txt").write_bytes(b"changed")
    output = _python(_RUN, server, home, tmp_path / "dips", good, broken)
    answer = json.loads(output.splitlines()[-1])
    assert [r["outcome"] for r in answer["results"]] == ["stored", "rejected"]
    assert Path(answer["dip"], "index.html").is_file()


def test_the_night_as_a_flow(server: dict[str, str], home: Path, make_bag) -> None:
    """What lies in the drop box is taken in, the copies are looked after, the report is an artifact."""
    for agency in ("health", "educa|tion"):
        place = home / "dropbox" / agency / "sip"
        place.parent.mkdir(parents=True)
        make_bag({"a.txt": agency.encode()}, name=f"sip-{len(agency)}").rename(place)
        (place.parent / "sip.ready").touch()
    output = _python(_NIGHT, server, home)
    answer = json.loads(output.splitlines()[-1])
    assert answer["report"]["outcomes"] == {"stored": 2}
    assert "| health | 1 |" in answer["artifact"]
    assert "educa¦tion" in answer["artifact"]
