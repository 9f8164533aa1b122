"""Files that survive a power cut once their writing has returned."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["fsync_folder", "make_folder_durably", "write_durably"]

_PART = ".part"


def write_durably(*files: tuple[Path, bytes]) -> None:
    """Write files of one folder so that each is there whole or not at all, whatever happens.

    Their folder is made where it is missing. Raises OSError.
    """
    folder = files[0][0].parent
    make_folder_durably(folder)
    for path, content in files:
        part = path.with_name(f".{path.name[:200]}{_PART}")
        with part.open("wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        part.replace(path)
    fsync_folder(folder)


def make_folder_durably(folder: Path) -> None:
    """Make a folder and those above it; what was made stays. Raises OSError."""
    made = []
    while not folder.is_dir():
        made.append(folder)
        folder = folder.parent
    for one in reversed(made):
        one.mkdir(exist_ok=True)
        fsync_folder(one.parent)


def fsync_folder(folder: str | Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
