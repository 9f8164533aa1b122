"""kill -9 at every stage boundary and at random inside store: exactly one AIP in the end, or none."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.holdings.stored_record import read_stored_record
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace
from storage.scratch import sweep_scratch

# A child that kills itself when a stage ends, or after so many objects of the store stage.
_CHILD = """
import os, signal, sys
from pathlib import Path
import pipeline.ingest.run as ingest_module
import pipeline.ingest.sandbox.direct as judging
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
home, sip, where = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def dying(function):
    def wrapper(*args, **kwargs):
        answer = function(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        return answer
    return wrapper

if where.isdigit():
    import storage.files.store
    left = int(where)
    original = storage.files.store.FileStore._put_one
    def counting(self, upload):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, upload)
    storage.files.store.FileStore._put_one = counting
else:
    module = judging if hasattr(judging, where) else ingest_module
    setattr(module, where, dying(getattr(module, where)))
settings = load_settings(home)
archive = build_archive(settings)
judge = {"judge": judging.judge_here} if hasattr(judging, where) else {}
ingest_module.ingest(sip, choose_agreement(settings, None), archive, **judge)
"""
_STAGES = ("receive", "verify", "examine", "describe", "store", "register", "write_receipt")
_FILES = 60


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _points() -> list[str]:
    chosen = random.Random(20261123)
    return [*_STAGES, *(str(chosen.randrange(_FILES + 14)) for _ in range(10))]


@pytest.mark.parametrize("where", _points())
def test_killed_there(where: str, tmp_path: Path, make_bag) -> None:
    """The next run ends with exactly one intact AIP; the SIP is as it was all the time."""
    sip = make_bag({f"f{n}.bin": os.urandom(500) for n in range(_FILES)})
    before = _tree(sip)
    home = tmp_path / "home"
    make_workspace(home)
    killed = subprocess.run(
        [sys.executable, "-c", _CHILD, str(home), str(sip), where], check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert _tree(sip) == before
    archive = build_archive(load_settings(home))
    from pipeline.ingest.run import ingest

    sweep_scratch(archive.work)
    again = ingest(sip, choose_agreement(load_settings(home), None), archive)
    assert again.outcome == "stored", again
    assert "into custody" in Path(str(again.receipt)).read_text("utf-8")
    (report,) = verify_archive(archive, None)
    assert (report.outcome, report.problems) == ("intact", ())
    objects = list((home / "store").rglob("0=ocfl_object_1.1"))
    assert len(objects) == 1
    assert not list((home / "store").rglob("*tmp*"))
    assert not list(archive.work.iterdir())
    assert _tree(sip) == before
    _assert_catalogue_says_what_is_stored(archive)
    archive.catalogue.close()


def _assert_catalogue_says_what_is_stored(archive: Archive) -> None:
    """Whichever run stored it and whichever registered it."""
    (aip,) = archive.catalogue.aips.all()
    stored = read_stored_record(archive.repositories[:1], aip.id, archive.work)
    assert stored.aip == aip
    assert set(stored.formats) == set(archive.catalogue.formats.of(aip.id))
    assert set(stored.events) == set(archive.catalogue.events.of(aip.id))


def test_killed_at_random_moments(tmp_path: Path, make_bag) -> None:
    """Ten times over, the command itself killed after a random time: never two AIPs, never half a one."""
    sip = make_bag({f"f{n}.bin": os.urandom(20_000) for n in range(400)})
    before = _tree(sip)
    home = tmp_path / "home"
    make_workspace(home)
    stele = Path(sys.executable).with_name("stele")
    chosen = random.Random(7)
    for _ in range(10):
        process = subprocess.Popen(
            [stele, "ingest", sip, "--home", home], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(0.6 + chosen.random() * 1.2)
        process.kill()
        process.wait()
        assert _tree(sip) == before
    subprocess.run([stele, "ingest", sip, "--home", home], check=True, capture_output=True)
    archive = build_archive(load_settings(home))
    (report,) = verify_archive(archive, None)
    assert (report.outcome, report.problems) == ("intact", ())
    assert len(list((home / "store").rglob("0=ocfl_object_1.1"))) == 1
    archive.catalogue.close()
