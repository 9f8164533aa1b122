"""The largest member of a zip, from its directory alone; nothing in a broken one makes it raise."""

from __future__ import annotations

import random
import struct
import zipfile
from pathlib import Path

import pytest

from pipeline.viruses.zip_members import largest_zip_member


def largest(content: bytes, folder: Path) -> int:
    path = folder / "file"
    path.write_bytes(content)
    with path.open("rb") as file:
        return largest_zip_member(file.fileno())


def zipped(folder: Path, *sizes: int, comment: bytes = b"") -> bytes:
    path = folder / "made.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment
        for number, size in enumerate(sizes):
            archive.writestr(f"folder/{number}", bytes(size))
    return path.read_bytes()


def zip64(folder: Path, size: int) -> bytes:
    """An archive with a zip64 field, record and locator, as for a member over 4 GiB."""
    plain = zipped(folder, 5)
    at, end = plain.index(b"PK\1\2"), plain.index(b"PK\5\6")
    entry = bytearray(plain[at:end])
    field = struct.pack("<HHHHQ", 9, 0, 1, 8, size)  # after a field of another kind
    entry[24:28] = b"\xff" * 4
    entry[30:32] = struct.pack("<H", len(field))
    entry += field
    where = at + len(entry)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(entry), at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, where, 1)
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return plain[:at] + bytes(entry) + record + locator + tail


def test_sizes(tmp_path: Path) -> None:
    """Also with a comment; what is no zip, or an empty one, has no member."""
    assert largest(zipped(tmp_path, 10, 70_000, 3), tmp_path) == 70_000
    assert largest(zipped(tmp_path, 10, 7, comment=b"c" * 60_000), tmp_path) == 10
    assert largest(zipped(tmp_path), tmp_path) == 0
    assert largest(b"", tmp_path) == largest(b"plain", tmp_path) == largest(b"PK\3\4", tmp_path) == 0


def test_zip64(tmp_path: Path) -> None:
    """Sizes of 4 GiB and more."""
    content = zip64(tmp_path, 5 << 30)
    assert largest(content, tmp_path) == 5 << 30
    assert zipfile.ZipFile(tmp_path / "file").infolist()[0].file_size == 5 << 30, (
        "the archive is a good one"
    )


@pytest.mark.parametrize("kind", ["plain", "zip64"])
def test_broken_archives(tmp_path: Path, kind: str) -> None:
    """Cut off or altered anywhere, there is some answer."""
    content = zip64(tmp_path, 5 << 30) if kind == "zip64" else zipped(tmp_path, 10, 20)
    dice = random.Random(7)
    for cut in range(len(content)):
        assert largest(content[:cut], tmp_path) >= 0
    for _ in range(2000):
        altered = bytearray(content)
        for _ in range(dice.randrange(1, 6)):
            altered[dice.randrange(4, len(altered))] = dice.choice([0, 255, dice.randrange(256)])
        assert largest(bytes(altered), tmp_path) >= 0
