"""The command line as users and scripts meet it: exit codes, one line of JSON, plain messages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_STELE = Path(sys.executable).with_name("stele")


def stele(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    return subprocess.run(
        [_STELE, *map(str, words)], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "COLUMNS": "200", **environment},
    )  # fmt: skip


def line(done: subprocess.CompletedProcess[str]) -> Any:
    """The one JSON object on stdout."""
    (only,) = done.stdout.splitlines()
    return json.loads(only)


def test_the_whole_way(tmp_path: Path, make_bag) -> None:
    """init, ingest, list, show, export, dip, verify; again is a duplicate."""
    home = tmp_path / "archive"
    assert stele("init", home).returncode == 0
    sip = make_bag({"brief.txt": "Grüße".encode(), "空.txt": b"x"})
    record = line(stele("ingest", sip, "--home", home, "--json"))
    assert record["outcome"] == "stored"
    assert (record["files"], record["version"]) == (2, "v1")
    assert {"receive", "verify", "examine", "describe", "store", "register"} <= set(record["stages"])
    assert line(stele("ingest", sip, "--home", home, "--json"))["outcome"] == "duplicate"
    aip = record["aip"]
    assert line(stele("aip", "list", "--home", home, "--json"))["id"] == aip
    assert line(stele("aip", "show", aip, "--home", home, "--json"))["copies"] == ["archive"]
    out = line(stele("aip", "export", aip, tmp_path / "out", "--home", home, "--json"))
    assert Path(out["folder"], "bagit.txt").is_file()
    dip = line(stele("dip", aip, tmp_path / "dip", "--home", home, "--json"))
    assert "空.txt" in Path(dip["folder"], "index.html").read_text("utf-8")
    assert line(stele("store", "verify", "--home", home, "--json"))["outcome"] == "intact"


def test_rejection_is_exit_1_with_every_problem(tmp_path: Path, make_bag) -> None:
    """A bag with three faults gets three problems, and stays where it was."""
    home = tmp_path / "archive"
    stele("init", home)
    sip = make_bag({"a.txt": b"a", "b.txt": b"b"}, Payload_Oxum="99.9")
    (sip / "data/a.txt").write_bytes(b"changed")
    (sip / "data/b.txt").unlink()
    before = sorted(p.name for p in sip.rglob("*"))
    done = stele("ingest", sip, "--home", home, "--json")
    assert done.returncode == 1
    codes = {p["code"] for p in line(done)["problems"] if p["severity"] == "error"}
    assert codes == {"BAG-DIGEST", "BAG-FILE-MISSING", "BAG-OXUM"}
    assert sorted(p.name for p in sip.rglob("*")) == before
    assert not list((home / "work").iterdir())


def _bad(name: str, tmp_path: Path, home: Path, bag: Path) -> tuple[list[object], dict[str, str]]:
    """Arguments and environment for one kind of mistake."""
    target = tmp_path / "x"
    match name:
        case "no such path":
            return ["ingest", target], {}
        case "empty folder":
            target.mkdir()
            return ["ingest", target], {}
        case "not a bag":
            target.mkdir()
            (target / "letter.txt").write_text("x")
            return ["ingest", target], {}
        case "truncated zip":
            whole = Path(shutil.make_archive(str(target), "zip", bag.parent, bag.name))
            whole.write_bytes(whole.read_bytes()[:-60])
            return ["ingest", whole], {}
        case "broken config":
            (home / "stele.toml").write_text("workers = 'many'\nbogus = 1\n")
            return ["ingest", bag], {}
        case "unknown agreement":
            return ["ingest", bag, "--agreement", "nobody"], {}
        case "unwritable store":
            shutil.rmtree(home / "store")
            (home / "store").write_text("a file where a folder should be")
            return ["ingest", bag], {}
        case "wrong identifier":
            return ["aip", "show", "not-an-id"], {}
        case "no workspace":
            return ["aip", "list", "--home", tmp_path], {}
        case _:
            raise AssertionError(name)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("no such path", 2, "there is no file or folder"),
        ("empty folder", 1, "it is empty"),
        ("not a bag", 1, "no bagit.txt; it holds 1 file(s): letter.txt"),
        ("truncated zip", 1, "The archive is damaged"),
        ("broken config", 2, "bogus"),
        ("unknown agreement", 2, "there is no submission agreement “nobody”; there are: default"),
        ("unwritable store", 3, "cannot be used"),
        ("wrong identifier", 2, "is no AIP identifier"),
        ("no workspace", 2, "is no Stele workspace"),
    ],
)
def test_mistakes_get_plain_answers(name: str, code: int, words: str, tmp_path: Path, make_bag) -> None:
    """Each ordinary mistake: the right exit code, the cause in words, never a traceback."""
    home = tmp_path / "archive"
    stele("init", home)
    bag = make_bag({"a.txt": b"a"})
    arguments, environment = _bad(name, tmp_path, home, bag)
    if "--home" not in arguments:
        arguments += ["--home", home]
    done = stele(*arguments, **environment)
    said = " ".join((done.stdout + done.stderr).split())
    assert words in said, said
    assert "Traceback" not in said
    assert done.returncode == code, said


def _without_privilege() -> list[str]:
    """Root reads everything unless it gives that right up."""
    if os.getuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("as root this needs setpriv, to give up the right to read everything")
    lost = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={lost}", f"--inh-caps={lost}"]


@pytest.mark.parametrize(
    ("closed", "words"),
    [
        ("sip/data/secret.txt", "no permission to read data/secret.txt"),
        ("archive/store", "Permission denied"),
    ],
)
def test_no_permission(closed: str, words: str, tmp_path: Path, make_bag) -> None:
    """What may not be read or written is named, the exit code says “our side”, nothing is left over."""
    home = tmp_path / "archive"
    stele("init", home)
    bag = make_bag({"open.txt": b"a", "secret.txt": b"b"})
    (tmp_path / closed).chmod(0o555 if (tmp_path / closed).is_dir() else 0)
    done = subprocess.run(
        [*_without_privilege(), _STELE, "ingest", bag, "--home", home, "--json"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    record = line(done)
    assert (done.returncode, record["outcome"]) == (3, "failed")
    assert words in record["reason"]
    assert not list((home / "work").iterdir())
    assert not list((home / "store").rglob("*METS*"))


def test_every_run_is_in_the_catalogue(tmp_path: Path, make_bag) -> None:
    """Also what was refused before anybody knew what it was: an operator must be able to find it."""
    import sqlite3

    home = tmp_path / "archive"
    stele("init", home)
    (tmp_path / "nothing").mkdir()
    good = make_bag({"a.txt": b"a"})
    stele("ingest", tmp_path / "nothing", good, good, tmp_path / "absent", "--home", home)
    with sqlite3.connect(home / "catalogue.sqlite") as catalogue:
        rows = catalogue.execute("SELECT subject, outcome, attempts, report FROM ingest").fetchall()
    found = {Path(subject).name: (outcome, attempts) for subject, outcome, attempts, _ in rows}
    # What was stored stays so when it is sent again; a path that was mistyped is no submission.
    assert found == {"nothing": ("rejected", 1), "sip": ("stored", 2)}
    assert all(json.loads(report)["outcome"] == outcome for _, outcome, _, report in rows)


def test_disk_full(tmp_path: Path, make_bag) -> None:
    """No room in the work area: failed with the cause, the submission untouched, nothing left over."""
    home, small = tmp_path / "archive", tmp_path / "small"
    stele("init", home)
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs the right to mount a small one")
    try:
        settings = home / "stele.toml"
        settings.write_text(f'work = "{small}"\n' + settings.read_text("utf-8"))
        done = stele("ingest", make_bag({"big.bin": os.urandom(1 << 20)}), "--home", home, "--json")
        record = line(done)
        assert (done.returncode, record["outcome"]) == (3, "failed")
        assert "No space left on device" in record["reason"]
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)


def test_wrong_s3_secret(tmp_path: Path, make_bag) -> None:
    """An unreachable or refusing S3 store is named, and its secret is not shown."""
    home = tmp_path / "archive"
    stele("init", home)
    (home / "stele.toml").write_text(
        '[[stores]]\nkind = "s3"\nname = "cloud"\nbucket = "b"\nendpoint_url = "http://127.0.0.1:9"\n'
        'access_key = "AK"\nsecret_key = "topsecret"\n'
    )
    done = stele("ingest", make_bag({"a": b"a"}), "--home", home)
    assert done.returncode == 3
    assert "storage “cloud” cannot be used" in " ".join(done.stdout.split())
    assert "topsecret" not in done.stdout + done.stderr
