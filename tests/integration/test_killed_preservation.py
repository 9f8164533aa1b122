"""kill -9 at random writes of replication, repair and removal: nothing lost, and the next run finishes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from requirements import LONG

from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive, verify_object
from pipeline.ingest.run import ingest
from pipeline.preservation.removal import request_removal
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace

_SETTINGS = """
[audit]
repair = "automatic"
[[stores]]
kind = "files"
name = "one"
path = "store"
[[stores]]
kind = "files"
name = "two"
path = "two"
"""
# Runs the command line, and kills itself before the n-th change to any store.
_CHILD = """
import os, signal, sys
import storage.files.store
left = int(sys.argv[1])
def counted(name):
    original = getattr(storage.files.store.FileStore, name)
    def wrapper(self, subject):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return original(self, subject)
    setattr(storage.files.store.FileStore, name, wrapper)
for name in ("_put_one", "replace", "delete"):
    counted(name)
from stele.cli.main import app
sys.argv = ["stele", *sys.argv[2:]]
app()
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace with one AIP in two stores, to be copied for each death."""
    folder = tmp_path_factory.mktemp("template")
    home = folder / "home"
    make_workspace(home)
    (home / "stele.toml").write_text(_SETTINGS)
    bag = folder / "sip"
    (bag / "data").mkdir(parents=True)
    import hashlib

    lines = []
    for number in range(12):
        content = os.urandom(300)
        (bag / f"data/{number}.bin").write_bytes(content)
        lines.append(f"{hashlib.sha512(content).hexdigest()}  data/{number}.bin\n")
    (bag / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    (bag / "manifest-sha512.txt").write_text("".join(lines))
    archive = build_archive(load_settings(home))
    result = ingest(bag, choose_agreement(load_settings(home), None), archive)
    archive.catalogue.close()
    return home, str(result.aip)


def _spoil(archive: Archive, aip: str, how: str) -> list[str]:
    """Make the work that the command will have to do; its words."""
    two = archive.repositories[1]
    root = two.layout.object_root(aip)
    folder = archive.work.parent / "two" / root
    match how:
        case "replicate":
            shutil.rmtree(folder)
            for copy in archive.catalogue.copies.of(aip):
                if copy.store == "two":
                    from dataclasses import replace

                    archive.catalogue.copies.put(replace(copy, state="pending", version=""))
            return ["store", "replicate"]
        case "repair":
            for path in list(folder.rglob("*.bin"))[:6]:
                path.chmod(0o644)
                path.write_bytes(b"rot")
            (folder / "inventory.json").unlink()
            (folder / "v1/content/stray").write_text("x")
            return ["audit", "--all"]
        case "remove":
            request_removal(archive, aip, reason="list 4", person="A. Clerk")
            return ["aip", "remove", aip, "--by", "B. Archivist", "--approve"]
        case _:
            raise AssertionError(how)


def _deaths() -> list[tuple[str, int]]:
    chance = random.Random(20261125)
    ways = {"replicate": 33, "repair": 8, "remove": 60}
    # Three seconds each: all fifty-one in the long run, some in every run.
    each = 17 if LONG else 4
    return [(how, chance.randrange(writes)) for how, writes in ways.items() for _ in range(each)]


@pytest.mark.parametrize(("how", "left"), _deaths())
def test_killed_and_run_again(how: str, left: int, template: tuple[Path, str], tmp_path: Path) -> None:
    """One store is whole all the time (or, in a removal, no reader sees a part); then all is well."""
    home, aip = tmp_path / "home", template[1]
    shutil.copytree(template[0], home)
    archive = build_archive(load_settings(home))
    one = archive.repositories[0]
    whole = set(one.store.list(f"{one.layout.object_root(aip)}/"))
    words = _spoil(archive, aip, how)
    archive.catalogue.close()
    command = [sys.executable, "-c", _CHILD, str(left), *words, "--home", str(home)]
    killed = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL, (killed.returncode, killed.stderr.decode()[-500:])
    archive = build_archive(load_settings(home))
    for repository in archive.repositories:
        if how == "remove" and repository.holds(aip):
            root = repository.layout.object_root(aip)
            assert set(repository.store.list(f"{root}/")) == whole, "what can be seen is whole"
    if how != "remove":
        first = archive.repositories[0]
        assert verify_object(first.store, first.layout.object_root(aip), aip).outcome == "intact"
    archive.catalogue.close()
    command[3] = "1000000"
    again = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert again.returncode == 0, again.stdout.decode() + again.stderr.decode()
    archive = build_archive(load_settings(home))
    if how == "remove":
        assert [list(repository.store.list("")) for repository in archive.repositories]
        assert not any(repository.holds(aip) for repository in archive.repositories)
        for repository in archive.repositories:
            assert list(repository.store.list(repository.layout.object_root(aip) + "/")) == []
        assert [row.id for row in archive.catalogue.aips.all("removed")] == [aip]
    else:
        reports = list(verify_archive(archive, None))
        assert [report.outcome for report in reports] == ["intact", "intact"], reports
    archive.catalogue.close()
