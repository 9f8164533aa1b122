"""What lies in the drop box: whole deliveries, and those that are still arriving.

``DROPBOX/AGENCY/DELIVERY``, or a delivery directly in the drop box. A delivery is a folder or an
archive; it is whole when ``DELIVERY.ready`` lies beside it, or when nothing of it has changed for
a while. Nothing in the drop box is ever changed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

__all__ = ["READY", "Delivery", "Found", "delivery_at", "find_deliveries", "is_arriving", "is_ignored"]

_OF_SYSTEMS = ("thumbs.db", "desktop.ini", "$recycle.bin", "__macosx")
_ARRIVING = (".part", ".partial", ".filepart", ".tmp", ".crdownload")
READY = ".ready"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery. ``place`` is a path or an address; ``newest`` is seconds since 1970;
    ``fingerprint`` changes when any of it does; ``box`` is the drop box it lies in.
    """

    place: str
    agency: str
    files: int
    bytes: int
    newest: float
    fingerprint: str
    box: str = "dropbox"


class Found(NamedTuple):
    """What lies in a drop box, each in the order of their paths; ``ignored`` are the paths of what is no
    delivery of anybody: links, hidden files of systems, devices."""

    whole: list[Delivery]
    arriving: list[Delivery]
    ignored: list[str]


def find_deliveries(dropbox: Path, *, quiet: float, now: float, box: str = "dropbox") -> Found:
    """Everything in a drop box; a file that is no archive we read is a delivery too, and is answered.

    ``quiet`` is the seconds after which what does not change counts as whole. What vanishes while
    it is looked at is not there. Raises OSError when the drop box cannot be read.
    """
    whole: list[Delivery] = []
    arriving: list[Delivery] = []
    ignored: list[str] = []
    for path, agency in _candidates(dropbox, ignored):
        try:
            found = _look_at(path, agency, box)
        except FileNotFoundError:
            continue
        ready = path.with_name(path.name + READY).exists() or now - found.newest >= quiet
        still = not found.files or is_arriving(path.name)
        (arriving if still or not ready else whole).append(found)
    return Found(whole, arriving, ignored)


def delivery_at(dropbox: Path, path: Path, *, box: str = "dropbox") -> Delivery | None:
    """The delivery that lies at a path, as ``find_deliveries`` would name it; None where none does.

    Raises OSError when it cannot be read.
    """
    try:
        parts = path.resolve().relative_to(dropbox.resolve()).parts
    except ValueError:
        return None
    if not 1 <= len(parts) <= 2 or not path.exists():
        return None
    return _look_at(dropbox.joinpath(*parts), parts[0] if len(parts) == 2 else "", box)


def _candidates(dropbox: Path, ignored: list[str]) -> Iterator[tuple[Path, str]]:
    for entry in _entries(dropbox, ignored):
        if not entry.is_dir(follow_symlinks=False) or _is_delivery(Path(entry.path)):
            yield Path(entry.path), ""
        else:
            for inner in _entries(Path(entry.path), ignored):
                yield Path(inner.path), entry.name


def _entries(folder: Path, ignored: list[str]) -> list[os.DirEntry[str]]:
    """Files and folders, but for the marks of what is ready; everything else is named in ``ignored``."""
    kept = []
    with os.scandir(folder) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            if is_ignored(entry.name) or not (
                entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
            ):
                ignored.append(entry.path)
            elif not entry.name.endswith(READY):
                kept.append(entry)
    return kept


def is_ignored(name: str) -> bool:
    """What systems leave in folders by themselves, and hidden names."""
    hidden = name.startswith(".") and name not in (".", "..")
    return hidden or name.lower() in _OF_SYSTEMS


def is_arriving(name: str) -> bool:
    """Whether a name is one that programs give to a file while they are sending it."""
    return name.lower().endswith(_ARRIVING)


def _is_delivery(folder: Path) -> bool:
    """A folder directly in the drop box is a bag, or else an agency's place."""
    return any((folder / name).exists() for name in ("bagit.txt", "manifest-sha512.txt", "data"))


def _look_at(path: Path, agency: str, box: str) -> Delivery:
    hasher = hashlib.sha256(os.fsencode(path.absolute()))
    files, size, newest = 0, 0, _changed(path.stat())
    for name, status in _walk(path):
        newest = max(newest, _changed(status))
        if stat.S_ISREG(status.st_mode):
            files, size = files + 1, size + status.st_size
        hasher.update(
            f"\0{name}\0{status.st_size}\0{status.st_mtime_ns}".encode("utf-8", "surrogateescape")
        )
    return Delivery(str(path), agency, files, size, newest, hasher.hexdigest(), box)


def _changed(status: os.stat_result) -> float:
    """When a file changed. A time in the future is the sender's clock; then it counts when it came."""
    return min(status.st_mtime, status.st_ctime)


def _walk(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file and folder of a delivery, in a fixed order, one folder in memory at a time."""
    if not path.is_dir():
        yield "", path.stat()
        return
    waiting = [str(path)]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            yield entry.path, entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
