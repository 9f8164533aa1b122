"""``stele serve`` with real servers: schedules, forms, reports; and what becomes of runs that are killed."""

from __future__ import annotations

import signal
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bag_builder import bag_builder
from requirements import free_port
from serving import Served, start_serving, until

from stele.settings import load_settings
from stele.workspace import make_workspace
from storage.catalogue import Catalogue

_REVIEWED = 'review = "new agency"\n[agency]\nname = "Harbour Office"\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One workspace for all tests that leave the servers alone."""
    home = tmp_path_factory.mktemp("serve") / "home"
    make_workspace(home)
    (home / "agreements/harbour-office.toml").write_text(_REVIEWED)
    made = start_serving(home)
    yield made
    made.stop()
    assert made.process.returncode == 0, made.said


@pytest.fixture
def serving() -> Iterator[Callable[..., Served]]:
    """Starts servers of a test's own; none is left behind, whatever fails."""
    started: list[Served] = []

    def start(home: Path, **more: Any) -> Served:
        started.append(start_serving(home, **more))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def _deliver(home: Path, agency: str, name: str, content: bytes = b"text") -> Path:
    place = home / "dropbox" / agency / name
    place.parent.mkdir(exist_ok=True)
    bag_builder(home.parent)({f"{name}.txt": content}, name=f"{agency}-{name}").rename(place)
    return place


def _outcomes(home: Path) -> dict[str, str]:
    catalogue = Catalogue(load_settings(home).catalogue_url)
    found = {
        row.subject.rsplit("/", 1)[-1]: row.outcome for row in catalogue.submissions.latest(limit=1000)
    }
    catalogue.close()
    return found


def test_a_schedule_creates_runs(served: Served) -> None:
    """With the wrong SQLAlchemy everything seems to work, and no scheduled run is ever created."""
    asked = {
        "deployments": {"name": {"any_": ["nightly"]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    assert until(lambda: served.ask("flow_runs/filter", asked), 75)


def test_ingest_and_dip(served: Served) -> None:
    """A good and a broken one: both in the report, a finished run; then a DIP of the good one."""
    _deliver(served.home, "office", "good")
    (_deliver(served.home, "office", "broken") / "data/broken.txt").write_bytes(b"changed")
    bag_builder(served.home / "dropbox")({"a.txt": b"of nobody"}, name="unnamed")
    number = served.start_run("ingest", deliveries=["office/good", "office/broken", "unnamed"])
    run = served.ended(number)
    assert run["state_type"] == "COMPLETED", run
    report = served.artifact(number, "ingest")
    assert "**stored**" in report
    assert "**rejected**" in report
    # The lines of the workspace's log, one for each submission; Prefect sends them some seconds later.
    ended = ("pipeline.ingest.run", "ingest ended")
    until(lambda: served.logged(number).count(ended) == 3)
    catalogue = Catalogue(load_settings(served.home).catalogue_url)
    aip = next(row.id for row in catalogue.aips.all() if row.title.endswith("office-good"))
    assert catalogue.submissions.latest(aip=aip)[0].run == number
    agencies = {row.subject.rsplit("/", 1)[-1]: row.agency for row in catalogue.submissions.latest()}
    assert (agencies["good"], agencies["unnamed"]) == ("office", "Any agency")
    catalogue.close()
    assert served.ended(served.start_run("build-dip", aip=aip))["state_type"] == "COMPLETED"
    (dip,) = (served.home / "dips").iterdir()
    assert (dip / "index.html").is_file()
    assert served.ended(served.start_run("build-dip", aip=aip))["state_type"] == "COMPLETED", (
        "again is no error"
    )


@pytest.mark.parametrize(
    "path", ["../outside", "/etc", "a/../../b", "~/x", "a/..", "..", "a\\..\\b", "a\nb", ""]
)
def test_the_form_refuses_what_leads_out(served: Served, path: str) -> None:
    """No run is made."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        served.start_run("ingest", deliveries=[path])
    assert refused.value.code == 409
    refused.value.close()


def test_a_link_out_of_the_drop_box(served: Served, tmp_path: Path) -> None:
    """What no pattern can see the flow sees, before anything is begun."""
    bag_builder(tmp_path)({"a.txt": b"a"}, name="elsewhere")
    (served.home / "dropbox/way-out").symlink_to(tmp_path)
    number = served.start_run("ingest", deliveries=["way-out/elsewhere"])
    run = served.ended(number)
    (served.home / "dropbox/way-out").unlink()
    assert run["state_type"] == "FAILED"
    assert "not in the drop box" in run["state"]["message"]
    assert "elsewhere" not in _outcomes(served.home)


def test_a_night_and_a_decision(served: Served) -> None:
    """The report is an artifact with a link to each decision; an impossible one says why."""
    _deliver(served.home, "harbour-office", "chart", b"1")
    _deliver(served.home, "edu|ca*tion", "school", b"2")
    number = served.start_run("nightly")
    assert served.ended(number)["state_type"] == "COMPLETED"
    report = served.artifact(number, "nightly-run")
    assert "| edu\\|ca\\*tion | 1 |" in report
    assert "new agency" in report
    number = next(part for part in report.split("/submissions/")[1:])[:40]
    refused = served.ended(
        served.start_run("decide", number="0" * 40, decision="accept", reason="why not", person="A B")
    )
    assert refused["state_type"] == "FAILED"
    assert "Nothing was decided" in refused["state"]["message"]
    number = served.start_run(
        "decide", number=number, decision="accept", reason="looked through", person="A. Clerk"
    )
    assert served.ended(number)["state_type"] == "COMPLETED"
    assert "**stored**" in served.artifact(number, "decision")
    assert _outcomes(served.home)["chart"] == "stored"
    for wrong in ({"decision": "perhaps"}, {"reason": ""}, {"person": "  "}, {"number": "../x"}):
        with pytest.raises(urllib.error.HTTPError) as error:
            asked = {
                "number": number,
                "decision": "accept",
                "reason": "because",
                "person": "A. Clerk",
                **wrong,
            }
            served.start_run("decide", **asked)
        error.value.close()


def test_upkeep(served: Served) -> None:
    """Audit, pending copies, reconciliation and format report end well, and say what they found."""
    for deployment, request, key in (
        ("audit", {}, "audit"),
        ("upkeep", {"task": "replicate"}, "upkeep"),
        ("upkeep", {"task": "reconcile"}, "upkeep"),
        ("upkeep", {"task": "format report"}, "upkeep"),
    ):
        number = served.start_run(deployment, **request)
        run = served.ended(number)
        assert run["state_type"] == "COMPLETED", (deployment, request, run["state"])
        assert served.artifact(number, key)


def test_a_second_one_on_the_same_ports(served: Served) -> None:
    """One sentence that names the port and the setting, and the first one lives on."""
    import subprocess
    import sys

    done = subprocess.run(
        [Path(sys.executable).with_name("stele"), "serve", "--home", served.home],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "cannot listen on 127.0.0.1" in done.stderr
    assert served.ask("health") is True


def _night_of_forty(home: Path) -> None:
    for number in range(40):
        _deliver(home, f"agency-{number % 8}", f"sip-{number}", f"{number}".encode())


def _works_in(process: Path, home: Path) -> bool:
    """Whether a process belongs to a workspace."""
    try:
        return f"STELE_HOME={home}".encode() in (process / "environ").read_bytes()
    except OSError:
        return False


def _stored(home: Path) -> int:
    return sum(outcome in ("stored", "duplicate") for outcome in _outcomes(home).values())


def test_power_failure_in_the_night(tmp_path: Path, serving: Callable[..., Served]) -> None:
    """Everything dies at once; the next start buries the dead run, the next nightly run ends with each once."""
    home = tmp_path / "home"
    make_workspace(home)
    _night_of_forty(home)
    served = serving(home)
    ports = tuple(int(address.rsplit(":", 1)[1]) for address in (served.prefect, served.dashboard))
    paused = next(
        one
        for one in served.ask(f"deployments/{served.deployments['nightly']}")["schedules"]
        if one["active"]
    )
    served.ask(
        f"deployments/{served.deployments['nightly']}/schedules/{paused['id']}", {"active": False}, "PATCH"
    )
    dead = served.start_run("nightly")
    until(lambda: _stored(home) >= 3)
    served.kill()
    assert _stored(home) < 40, "it was killed before the end"
    served = serving(home, ports=ports)  # type: ignore[arg-type]
    assert "Marked 1 orphaned flow run(s) as Crashed" in served.said
    assert served.run(dead)["state_type"] == "CRASHED"
    (schedule,) = served.ask(f"deployments/{served.deployments['nightly']}")["schedules"]
    assert not schedule["active"], "what was paused in the UI stays paused"
    assert served.ended(served.start_run("nightly"))["state_type"] == "COMPLETED"
    served.stop()
    assert _stored(home) == 40
    catalogue = Catalogue(load_settings(home).catalogue_url)
    assert catalogue.aips.totals()[0] == 40
    assert catalogue.submissions.interrupted() == []
    catalogue.close()


def test_stopped_in_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serving: Callable[..., Served]
) -> None:
    """Ctrl-C twice: the run is told to end, is not left “Running”, and no process stays behind."""
    monkeypatch.setenv("STELE_NIGHTLY__PARALLEL", "2")
    home = tmp_path / "home"
    make_workspace(home)
    _night_of_forty(home)
    served = serving(home)
    number = served.start_run("nightly")
    until(lambda: _stored(home) >= 2)
    served.process.send_signal(signal.SIGINT)
    until(lambda: "running flow run(s)" in served.said)
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(60)
    assert served.process.returncode == 0, served.said
    until(lambda: not [one for one in Path("/proc").glob("[0-9]*") if _works_in(one, home)], 20)
    ports = tuple(int(address.rsplit(":", 1)[1]) for address in (served.prefect, served.dashboard))
    served = serving(home, ports=ports)  # type: ignore[arg-type]
    assert served.run(number)["state_type"] in ("CRASHED", "COMPLETED")
    assert served.ended(served.start_run("nightly"))["state_type"] == "COMPLETED"
    served.stop()
    assert _stored(home) == 40


def test_a_server_elsewhere_that_knows_us_not(tmp_path: Path) -> None:
    """A worker with a wrong password says so in a sentence, and nothing stays behind."""
    import subprocess
    import sys
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path.endswith("health") else 401)
            self.end_headers()

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    home = tmp_path / "home"
    make_workspace(home)
    config = home / "stele.toml"
    api = f"http://127.0.0.1:{server.server_port}/api"
    config.write_text(
        f'{config.read_text()}\n[prefect]\napi = "{api}"\n[dashboard]\nport = {free_port()}\n'
    )
    done = subprocess.run(
        [Path(sys.executable).with_name("stele"), "serve", "--no-server", "--home", home],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    server.shutdown()
    server.server_close()
    assert done.returncode == 3, done.stderr
    assert "rejected the deployment registration" in done.stderr
    assert "Traceback" not in done.stderr


def test_behind_a_password(tmp_path: Path, serving: Callable[..., Served]) -> None:
    """With auth set nobody without the password gets an answer; our own parts do their work."""
    home = tmp_path / "home"
    make_workspace(home)
    place = _deliver(home, "office", "one")
    port = free_port()
    config = home / "stele.toml"
    config.write_text(
        f'{config.read_text()}\n[prefect]\nport = {port}\nauth = "admin:a-secret-word"\n[dashboard]\nport = {free_port()}\n'
    )
    served = serving(home, ports=(port, load_settings(home).dashboard.port))
    for path in ("deployments/filter", "csrf-token?client=a", "admin/settings"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{served.prefect}/api/{path}")
        assert refused.value.code == 401
        refused.value.close()
    for path in ("openapi.json", "docs", "redoc"):  # Prefect would answer these without the password
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{served.prefect}/{path}")
        assert refused.value.code == 404
        refused.value.close()
    assert "a-secret-word" not in served.said
    for pid in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"a-secret-word" not in pid.read_bytes(), "no password in the list of processes"
        except OSError:
            continue
    import json
    import subprocess
    import sys

    code = (
        "from prefect.deployments import run_deployment; "
        f"print(run_deployment({served.deployments['ingest']!r}, "
        "parameters={'request': {'deliveries': ['office/one']}}).state_name)"
    )
    environment: dict[str, Any] = {
        "PATH": "/usr/bin:/bin", "PREFECT_API_URL": f"{served.prefect}/api",
        "PREFECT_API_AUTH_STRING": "admin:a-secret-word", "PREFECT_HOME": str(tmp_path / "client"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "Completed" in done.stdout, done.stderr[-1500:]
    assert json.loads((home / "orchestration.json").read_text())["address"] == served.prefect
    served.stop()
    assert _outcomes(home) == {place.name: "stored"}
