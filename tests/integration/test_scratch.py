"""Scratch folders while other processes sweep."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from storage import scratch
from storage.scratch import scratch_folder, sweep_scratch


def test_a_sweep_at_the_worst_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the making of the lock and its locking another process may sweep: another folder is made."""
    lock, swept = fcntl.flock, []

    def flock(descriptor: int, how: int) -> None:
        if how == fcntl.LOCK_EX and len(swept) < 2:
            swept.append(sweep_scratch(tmp_path))
        lock(descriptor, how)

    monkeypatch.setattr(scratch.fcntl, "flock", flock)
    with scratch_folder(tmp_path) as area:
        (area / "file").write_bytes(b"content")
        assert sweep_scratch(tmp_path) == 0
        assert (area / "file").read_bytes() == b"content"
    assert swept == [1, 1]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes(tmp_path: Path) -> None:
    """Its lock is nobody's any more."""
    pid = os.fork()
    if not pid:
        area = scratch_folder(tmp_path)
        area.__enter__()
        os._exit(0)
    os.waitpid(pid, 0)
    assert len(list(tmp_path.iterdir())) == 1
    assert sweep_scratch(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_was_killed_while_it_cleaned_up_goes(tmp_path: Path) -> None:
    """Wherever the removal of a folder is cut off, the next sweep takes what is left of it."""
    pid = os.fork()
    if not pid:
        with scratch_folder(tmp_path) as area:
            (area / "folder").mkdir()
            (area / "folder" / "file").write_bytes(b"content")
            (area / "file").write_bytes(b"content")
            scratch.shutil.rmtree = lambda *_, **__: os._exit(0)  # type: ignore[assignment]
        os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert status == 0
    (left,) = tmp_path.iterdir()
    assert (left / "lock").exists() and (left / "folder" / "file").exists()
    assert sweep_scratch(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_its_first_and_last_moment_goes(tmp_path: Path) -> None:
    """Empty and without a lock, at once; with content and without a lock, an hour later."""
    (tmp_path / "work-empty").mkdir()
    (tmp_path / "work-full").mkdir()
    (tmp_path / "work-full" / "file").write_bytes(b"content")
    assert sweep_scratch(tmp_path) == 1
    assert [area.name for area in tmp_path.iterdir()] == ["work-full"]
    os.utime(tmp_path / "work-full", (0, 0))
    assert sweep_scratch(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []
