"""Screening: which entries may be unpacked, judged one by one and all together."""

from __future__ import annotations

from pathlib import Path

import pytest

from packages.containers.sources import Entry, EntryKind
from pipeline.agreement import Limits
from pipeline.unpacking.safety import Screening


def _codes(
    tmp_path: Path, *entries: Entry, limits: Limits | None = None, packed: int | None = None
) -> list[str]:
    screening = Screening(tmp_path, limits or Limits(), packed)
    found = [problem.code for entry in entries for problem in screening.look(entry)]
    found += [problem.code for problem in screening.close()]
    assert not list(tmp_path.iterdir()), "the scratch database is given up"
    return sorted(found)


def _file(path: str, size: int = 1, packed: int = 1) -> Entry:
    return Entry(path, EntryKind.FILE, size, packed, 0)


def _folder(path: str) -> Entry:
    return Entry(path, EntryKind.FOLDER, 0, 0, 0)


@pytest.mark.parametrize(
    ("names", "codes"),
    [
        (["data/a.txt", "data/b/c.txt"], []),
        (["data/a.txt", "data/a.txt"], ["PATH-DUPLICATE"]),
        (["data/./a.txt", "data/a.txt"], ["PATH-DUPLICATE"]),
        (["data/a.txt", "data/A.txt"], ["PATH-COLLISION"]),
        (["data/é", "data/e\u0301"], ["PATH-COLLISION"]),
        (["data/a", "data/a/b/c"], ["PATH-FILE-AND-FOLDER"]),
        (["data/CON.txt"], ["PATH-UNPORTABLE"]),
        (["data/nul/x"], ["PATH-UNPORTABLE"]),
        (["data/end."], ["PATH-UNPORTABLE"]),
        (["data/end./x"], ["PATH-UNPORTABLE"]),
        (["../x"], ["PATH-ESCAPE"]),
        (["/etc/passwd"], ["PATH-ESCAPE"]),
        (["data/\udcff\udcfe"], []),
        (["data/\udcff", "data/\udcff"], ["PATH-DUPLICATE"]),
    ],
)
def test_names(names: list[str], codes: list[str], tmp_path: Path) -> None:
    """Each kind of trouble is found under its code, and harmless names are left alone."""
    assert _codes(tmp_path, *(_file(name) for name in names)) == codes


def test_folder_and_file_of_one_name(tmp_path: Path) -> None:
    """A folder listed twice is ordinary; a folder and a file of one name are not."""
    assert _codes(tmp_path, _folder("data"), _folder("data"), _file("data/a")) == []
    assert _codes(tmp_path, _folder("data/a"), _file("data/a")) == ["PATH-FILE-AND-FOLDER"]


def test_limits(tmp_path: Path) -> None:
    """Number, bytes and expansion are each held against the agreement."""
    few = Limits(max_files=1, max_bytes=10, max_ratio=10)
    assert _codes(tmp_path, _file("a"), _file("b"), limits=few) == ["ARC-BOMB"]
    assert _codes(tmp_path, _file("a", 11, 11), limits=few) == ["ARC-BOMB"]
    wide = Limits(max_ratio=10)
    assert _codes(tmp_path, _file("a", 300 << 20, 1 << 20), limits=wide) == ["ARC-BOMB"]
    assert _codes(tmp_path, _file("a", 300 << 20, 300 << 20), limits=wide, packed=1 << 20) == ["ARC-BOMB"]
    assert _codes(tmp_path, _file("a", 200 << 20, 1 << 10), limits=wide, packed=1 << 10) == []


def test_other_kinds(tmp_path: Path) -> None:
    """Links, devices and encrypted entries are refused by what they are."""
    link = Entry("data/l", EntryKind.LINK, 0, 0, 0, target="/etc/passwd")
    device = Entry("data/d", EntryKind.DEVICE, 0, 0, 0)
    locked = Entry("data/e", EntryKind.FILE, 1, 1, 0, encrypted=True)
    assert _codes(tmp_path, link, device, locked) == ["ARC-ENCRYPTED", "PATH-DEVICE", "PATH-LINK"]
