"""The log of a workspace: what a run has bound on every line, nothing hostile, tracebacks, owner only."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.archive import Archive
from pipeline.ingest import run as ingest_module
from stele.logs import LOG_FILE, keep_log


def _stele(*words: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("stele")
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)


def _lines(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / LOG_FILE).read_text("utf-8").splitlines()]


def test_an_ingest_is_logged(home: Path, make_bag: Any) -> None:
    """One line with outcome, AIP, ingest id and agency; stdout stays JSON; only the owner can read it."""
    bag = make_bag({"a.txt": b"a"}, name="evil\x1b[31m‮name")
    done = _stele("ingest", bag, "--json", "--home", home)
    (result,) = [json.loads(line) for line in done.stdout.splitlines()]
    (line,) = [one for one in _lines(home) if one["event"] == "ingest ended"]
    assert (line["outcome"], line["aip"], line["level"]) == ("stored", result["aip"], "info")
    assert len(line["ingest"]) == 40
    assert line["agency"] == "Any agency"
    raw = (home / LOG_FILE).read_text("utf-8")
    assert "\x1b" not in raw
    assert "\u202e" not in raw
    assert stat.S_IMODE((home / LOG_FILE).stat().st_mode) == 0o600


def test_lines_for_people(home: Path, make_bag: Any) -> None:
    """``-v`` shows them on stderr, escaped; without it there are none."""
    bag = make_bag({"a.txt": b"a"}, name="evil\x1b[31mname")
    quiet = _stele("ingest", bag, "--home", home)
    assert "ingest ended" not in quiet.stderr
    shown = _stele("-v", "ingest", bag, "--json", "--home", home)
    assert "ingest ended" in shown.stderr
    assert "outcome=duplicate" in shown.stderr
    assert "\x1b" not in shown.stderr
    assert len(shown.stdout.splitlines()) == 1


def test_a_bug_leaves_its_traceback(
    archive: Archive, agreement: Any, make_bag: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the run had bound when it happened."""

    def broken(*_: object) -> None:
        raise KeyError("oops")

    keep_log(home)
    monkeypatch.setattr(ingest_module, "describe", broken)
    result = ingest_module.ingest(make_bag({"a.txt": b"a"}), agreement, archive)
    assert result.outcome == "failed"
    (line,) = [one for one in _lines(home) if one["level"] == "error"]
    assert "KeyError" in line["exception"]
    assert "in broken" in line["exception"]


def test_a_large_log_is_put_away(tmp_path: Path) -> None:
    """The newest stays under its name; the older ones are numbered, and no more than a few."""
    place = tmp_path / LOG_FILE
    place.parent.mkdir()
    place.write_bytes(b"x" * (21 << 20))
    keep_log(tmp_path)
    assert place.stat().st_size == 0
    assert place.with_suffix(".1.jsonl").stat().st_size == 21 << 20
