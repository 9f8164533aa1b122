"""``stele store verify PATH`` on foreign objects and storage roots, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ocfl_builder import SmallObject, on_disk, storage_root


def _run(*arguments: str) -> tuple[int, list[dict[str, object]]]:
    done = subprocess.run(
        [sys.executable, "-m", "stele.cli.main", "store", "verify", "--json", *arguments],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_an_object(tmp_path: Path) -> None:
    """One record, with the object's own id and version."""
    code, (record,) = _run(str(on_disk(tmp_path, SmallObject().files)))
    assert code == 0
    assert record == {
        "object": "urn:example:small", "store": str(tmp_path), "version": "v2", "outcome": "intact",
        "problems": [],
    }  # fmt: skip


def test_a_storage_root(tmp_path: Path) -> None:
    """A record per object, and one for the root; any error makes the exit code 1."""
    small = SmallObject()
    small.files["v1/content/letter.txt"] = b"Dear office!\n"
    files = storage_root({"a/b": small}) | {"a/stray.txt": b""}
    code, records = _run(str(on_disk(tmp_path, files)))
    assert code == 1
    assert [(r["object"], r["outcome"]) for r in records] == [
        ("urn:example:small", "damaged"), (str(tmp_path), "invalid"),
    ]  # fmt: skip


@pytest.mark.parametrize("identifier", ["\ud800", "[bold]x", "a\nb", "x" * 5000])
def test_identifiers_of_strangers_can_be_printed(tmp_path: Path, identifier: str) -> None:
    """Neither form of output breaks on what an inventory calls its object."""
    path = str(on_disk(tmp_path, SmallObject(object_id=identifier).files))
    code, _ = _run(path)
    assert code == 0
    done = subprocess.run(
        [sys.executable, "-m", "stele.cli.main", "store", "verify", path],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    """It is judged like an empty place."""
    (tmp_path / "file").write_bytes(b"")
    code, (record,) = _run(str(tmp_path / "file"))
    assert (code, record["outcome"]) == (1, "invalid")
