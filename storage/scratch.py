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
        shutil.rmtree(area, ignore_errors=True)
        os.close(lock)


def _locked_area(parent: Path | None) -> tuple[Path, int]:
    """A new folder, and the descriptor that holds its lock.

    Until it is locked a sweep in another process may take it for a dead run's: then another is made.
    """
    while True:
        area = Path(tempfile.mkdtemp(prefix=_AREA, dir=parent))
        try:
            lock = os.open(area / "lock", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
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


def sweep_scratch(parent: Path) -> int:
    """Remove what killed runs left behind; how many folders were removed."""
    removed = 0
    for area in parent.glob(f"{_AREA}*"):
        try:
            with (area / "lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(area, ignore_errors=True)
                removed += 1
        except FileNotFoundError:
            # No lock yet: either this moment's start or a death in its first instant.
            with suppress(FileNotFoundError):  # another process may be sweeping too
                if time.time() - area.stat().st_mtime > 3600:
                    shutil.rmtree(area, ignore_errors=True)
                    removed += 1
        except OSError:
            continue  # in use
    return removed
