"""Scratch folders that a later run can tell to be a dead one's."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["scratch_folder", "sweep_scratch"]

_AREA = "work-"
_LOCK = "lock"


@contextmanager
def scratch_folder(parent: Path | None) -> Iterator[Path]:
    """A private folder below ``parent`` (None: the system's), locked while it is in use.

    Raises OSError when it cannot be made.
    """
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    area, lock = _locked_area(parent)
    try:
        yield area
    finally:
        _remove(area)
        os.close(lock)


def _locked_area(parent: Path | None) -> tuple[Path, int]:
    """A new folder, and the descriptor that holds its lock.

    Until it is locked a sweep in another process may take it for a dead run's: then another is made.
    """
    while True:
        area = Path(tempfile.mkdtemp(prefix=_AREA, dir=parent))
        try:
            lock = os.open(area / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_nlink:
                return area, lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _remove(area: Path) -> None:
    """The lock goes last: a removal that is killed leaves a folder that the next sweep knows to be dead."""
    with suppress(OSError), os.scandir(area) as found:
        for child in found:
            if child.is_dir(follow_symlinks=False):
                shutil.rmtree(child.path, ignore_errors=True)
            elif child.name != _LOCK:
                Path(child.path).unlink()
    shutil.rmtree(area, ignore_errors=True)


def sweep_scratch(parent: Path) -> int:
    """Remove what killed runs left behind; how many folders were removed."""
    removed = 0
    for area in parent.glob(f"{_AREA}*"):
        try:
            with (area / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(area)
                removed += 1
        except FileNotFoundError:
            removed += _remove_without_lock(area)
        except OSError:
            continue  # in use
    return removed


def _remove_without_lock(area: Path) -> bool:
    """Of an empty folder nothing is lost, even if it was made this moment: then another is made. With
    content and without a lock it is left of a version that removed the lock first, or somebody else's."""
    try:
        area.rmdir()
    except FileNotFoundError:  # another process is sweeping too
        return False
    except OSError:
        with suppress(FileNotFoundError):
            if time.time() - area.stat().st_mtime > 3600:
                shutil.rmtree(area, ignore_errors=True)
                return True
        return False
    return True
