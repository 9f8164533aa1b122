"""The nightly run: each delivery once, whatever is killed and however many run; one report at the end."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.ingest.run import ingest
from pipeline.intake import FolderBox, Intake, NightlyLimits, run_nightly
from stele.nightly_report import send_report
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace

_QUIET = NightlyLimits(quiet=0)


def _bag(place: Path, content: bytes, *, bad: bool = False) -> None:
    (place / "data").mkdir(parents=True)
    (place / "data/record.txt").write_bytes(content)
    digest = hashlib.sha512(content + (b"!" if bad else b"")).hexdigest()
    (place / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    (place / "manifest-sha512.txt").write_text(f"{digest}  data/record.txt\n")
    then = time.time() - 3600
    for one in [*place.rglob("*"), place]:
        os.utime(one, (then, then))


def _fill(box: Path, agencies: int, each: int, bad_every: int = 20) -> int:
    """Deliveries of many agencies; how many are bad."""
    number = bad = 0
    for agency in range(agencies):
        for n in range(each):
            number += 1
            spoilt = number % bad_every == 0
            bad += spoilt
            _bag(box / f"agency-{agency:03d}" / f"sip-{n}", f"{agency} {n}".encode(), bad=spoilt)
    return bad


def _night(archive: Archive, home: Path, limits: NightlyLimits = _QUIET):
    settings = load_settings(home)
    agreed = choose_agreement(settings, None)
    intake = Intake(archive, {"dropbox": FolderBox(home / "dropbox")}, ingest, lambda _: agreed)
    return run_nightly(intake, limits)


def test_each_once(archive: Archive, home: Path) -> None:
    """Stored, rejected and duplicate are not taken again; a corrected delivery is a new one."""
    bad = _fill(home / "dropbox", agencies=4, each=5)
    _bag(home / "dropbox/agency-000/again", b"0 0")
    first = _night(archive, home)
    assert first.outcomes == {"stored": 20 - bad, "rejected": bad, "duplicate": 1}
    assert (first.found, first.not_started, first.already_processed) == (21, 0, 0)
    assert sum(sum(counts.values()) for counts in first.agencies.values()) == 21
    assert "BAG-DIGEST" in first.problems
    second = _night(archive, home)
    assert (second.outcomes, second.already_processed) == ({}, 21)
    (rejected,) = archive.catalogue.deliveries.latest("rejected")
    assert "BAG-DIGEST" in rejected.reason
    (home / rejected.path / "data/record.txt").write_bytes(
        (home / rejected.path / "data/record.txt").read_bytes() + b"!"
    )
    assert _night(archive, home).outcomes == {"stored": 1}
    nights = {night.id: night for night in archive.catalogue.nightly_runs.latest()}
    assert [bool(night.finished) for night in nights.values()] == [True] * 3
    assert json.loads(nights[first.nightly_run].report)["outcomes"] == first.outcomes


def test_what_failed_is_tried_again(archive: Archive, home: Path) -> None:
    """Our own failure is no end: the next nightly run takes it again."""
    _bag(home / "dropbox/a/sip", b"x")
    store = home / "store"
    store.rename(home / "elsewhere")
    store.write_text("in the way")
    assert _night(archive, home).outcomes == {"failed": 1}
    store.unlink()
    (home / "elsewhere").rename(store)
    assert _night(archive, home).outcomes == {"stored": 1}
    assert [row.attempts for row in archive.catalogue.deliveries.latest()] == [2]


def test_what_was_held_comes_again_when_asked(archive: Archive, home: Path) -> None:
    """Not by itself; after the agreement has changed, by one word."""
    settings = load_settings(home)
    agreed = choose_agreement(settings, None)
    _bag(home / "dropbox/a/sip", b"Founder CEB 3.0" + bytes(200))
    assert _night(archive, home).outcomes == {"in-review": 1}
    assert _night(archive, home).outcomes == {}
    formats = agreed.formats.model_copy(update={"accepted": ("local/ceb",)})
    changed = agreed.model_copy(update={"formats": formats})
    again = NightlyLimits(quiet=0, retry_in_review=True)
    intake = Intake(archive, {"dropbox": FolderBox(home / "dropbox")}, ingest, lambda _: changed)
    report = run_nightly(intake, again)
    assert report.outcomes == {"stored": 1}


def test_a_broken_agreement_costs_only_its_agency(home: Path) -> None:
    """The agency's deliveries fail with that reason, and are tried again; the others are stored."""
    (home / "agreements/bad.toml").write_text("agency = 3")
    for agency in ("bad", "good"):
        _bag(home / "dropbox" / agency / "sip", agency.encode())
    said, _ = _nightly(home).communicate(timeout=120)
    report = json.loads(said)
    assert report["agencies"] == {"bad": {"failed": 1}, "good": {"stored": 1}}
    (home / "agreements/bad.toml").unlink()
    said, _ = _nightly(home).communicate(timeout=120)
    assert json.loads(said)["outcomes"] == {"stored": 1}


def test_the_report_is_sent(home: Path) -> None:
    """As JSON by POST; a receiver that cannot be reached is reported, and costs the nightly run nothing."""
    received: list[dict[str, object]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    settings = load_settings(home)
    address = f"http://127.0.0.1:{server.server_port}/hook"
    sending = settings.model_copy(
        update={"nightly": settings.nightly.model_copy(update={"webhook": address})}
    )
    assert send_report({"outcomes": {"stored": 1}}, sending) == ""
    thread.join(10)
    server.server_close()
    assert received == [{"outcomes": {"stored": 1}}]
    assert "127.0.0.1" in send_report({}, sending)


def test_time_is_up(archive: Archive, home: Path) -> None:
    """What was not begun is left and said, and comes the next nightly run."""
    _fill(home / "dropbox", agencies=1, each=3)
    report = _night(archive, home, NightlyLimits(quiet=0, max_seconds=0))
    assert report.outcomes == {}
    assert report.not_started == 3
    assert _night(archive, home).outcomes == {"stored": 3}


def _nightly(home: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "STELE_NIGHTLY__QUIET_SECONDS": "0"}
    return subprocess.Popen(
        [Path(sys.executable).with_name("stele"), "nightly", "--no-audit", "--json", "--home", home],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip


def _ended_well(home: Path, good: int, bad: int) -> None:
    archive = build_archive(load_settings(home))
    outcomes = [row.outcome for row in archive.catalogue.deliveries.latest()]
    # One that was killed between custody and its last note is found to be kept already.
    kept = outcomes.count("stored") + outcomes.count("duplicate")
    assert (kept, outcomes.count("rejected"), len(outcomes)) == (good, bad, good + bad)
    aips = [row.id for row in archive.catalogue.aips.all()]
    assert len(aips) == len(set(aips)) == good
    assert {report.outcome for report in verify_archive(archive, None)} == {"intact"}
    declared = sum(key.endswith("/0=ocfl_object_1.1") for key in archive.repositories[0].store.list(""))
    assert declared == good
    archive.catalogue.close()


@pytest.fixture
def full(tmp_path: Path, catalogue_url: str) -> tuple[Path, int, int]:
    """A workspace, on each kind of catalogue, with deliveries of twenty agencies; how many are good and bad."""
    home = tmp_path / "home"
    make_workspace(home)
    config = home / "stele.toml"
    config.write_text(f'catalogue = "{catalogue_url}"\n{config.read_text("utf-8")}', "utf-8")
    bad = _fill(home / "dropbox", agencies=20, each=2)
    return home, 40 - bad, bad


def test_two_at_once(full: tuple[Path, int, int]) -> None:
    """No delivery twice, none missing; together they did all."""
    home, good, bad = full
    both = [_nightly(home), _nightly(home)]
    reports = []
    for one in both:
        said, error = one.communicate(timeout=120)
        assert one.returncode in (0, 1), error.decode()
        reports.append(json.loads(said))
    together = [
        sum(report["outcomes"].get(name, 0) for report in reports) for name in ("stored", "rejected")
    ]
    assert together == [good, bad]
    _ended_well(home, good, bad)
    print("\n" + "; ".join(f"{sum(report['outcomes'].values())} by one" for report in reports))


def _wait_for_receipts(home: Path, number: int) -> None:
    """Until a nightly run has got so far."""
    end = time.monotonic() + 60
    while len(list((home / "receipts").glob("*.json"))) < number:
        assert time.monotonic() < end, "the nightly run never got so far"
        time.sleep(0.02)


def test_killed_three_times(full: tuple[Path, int, int]) -> None:
    """The next run goes on where the dead one was; nothing is done twice or stuck."""
    home, good, bad = full
    for done in (5, 15, 28):
        one = _nightly(home)
        _wait_for_receipts(home, done)
        one.send_signal(signal.SIGKILL)
        one.communicate()
        assert one.returncode == -signal.SIGKILL
    last = _nightly(home)
    said, error = last.communicate(timeout=120)
    assert last.returncode in (0, 1), error.decode()
    _ended_well(home, good, bad)
    archive = build_archive(load_settings(home))
    ended = [bool(night.finished) for night in archive.catalogue.nightly_runs.latest()]
    archive.catalogue.close()
    assert ended[0]
    print(f"\nlast of {len(ended)} nightly runs: {json.loads(said)['outcomes']}")


def test_doctor_tells_of_a_night_that_died(home: Path) -> None:
    """An alarm, until a nightly run has come to its end."""
    _fill(home / "dropbox", agencies=6, each=2)
    one = _nightly(home)
    _wait_for_receipts(home, 2)
    one.kill()
    one.communicate()

    def said() -> dict[str, str]:
        done = subprocess.run(
            [Path(sys.executable).with_name("stele"), "doctor", "--json", "--home", home],
            capture_output=True, check=False, text=True,
        )  # fmt: skip
        records = [json.loads(line) for line in done.stdout.splitlines()]
        return next(record for record in records if record["subject"] == "last nightly run")

    assert said()["state"] == "broken"
    assert "died" in said()["detail"]
    _nightly(home).communicate(timeout=120)
    assert said()["state"] == "ok"
