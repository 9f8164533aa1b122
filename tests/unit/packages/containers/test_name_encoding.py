"""Names without an encoding mark, in the encodings agencies really send."""

import io
import zipfile
import zlib
from pathlib import Path

import pytest

from packages.containers.name_encoding import decode_names, unicode_path, without_unicode_path
from packages.containers.sources import ZipSource
from pipeline.agreement import Limits

_SAMPLES = [
    ("关于开展档案检查工作的通知.doc", "gb18030"),
    ("國家檔案管理辦法.doc", "big5"),
    ("文書管理規程について.txt", "shift_jis"),
    ("ПРИКАЗ о передаче дел.txt", "koi8-r"),
    ("Приказ о передаче дел.txt", "cp866"),
    ("Übergabe Akten Müller.txt", "cp437"),
    ("Übergabe 公文.txt", "utf-8"),
]


@pytest.mark.parametrize(("name", "encoding"), _SAMPLES)
def test_the_right_encoding_is_guessed(name: str, encoding: str) -> None:
    """The name comes back, and it is said to be a guess."""
    (decoded,) = decode_names([name.encode(encoding)])
    assert decoded.text == name
    assert decoded.guessed == encoding


def test_ascii_is_no_guess() -> None:
    """Nothing to report where there is nothing to guess."""
    (decoded,) = decode_names([b"plain.txt"])
    assert (decoded.text, decoded.guessed) == ("plain.txt", None)


def test_unicode_path_field() -> None:
    """The 0x7075 field counts only when its CRC fits the plain name."""
    raw, name = b"\xc7_.txt", "€_.txt".encode()
    body = b"\x01" + zlib.crc32(raw).to_bytes(4, "little") + name
    field = b"\x75\x70" + len(body).to_bytes(2, "little") + body
    assert unicode_path(raw, field) == "€_.txt"
    assert unicode_path(b"other", field) is None
    assert unicode_path(raw, b"\x75\x70\xff") is None


def test_a_stale_unicode_path_field() -> None:
    """It is ignored, and the plain name is in the encoding that zip began with (APPNOTE D.2)."""
    body = b"\x01" + zlib.crc32(b"before.txt").to_bytes(4, "little") + b"before.txt"
    field = b"\x75\x70" + len(body).to_bytes(2, "little") + body
    stale = without_unicode_path("Übergabe.txt".encode("cp437"), field)
    assert stale is not None and (stale.text, stale.guessed) == ("Übergabe.txt", "cp437")
    modern = without_unicode_path("Übergabe.txt".encode(), field)
    assert modern is not None and (modern.text, modern.guessed) == ("Übergabe.txt", "utf-8")
    assert without_unicode_path(b"x", b"") is None


def _zip(name: bytes, *, local_flags: int = 0, local_extra: bytes = b"", extra: bytes = b"") -> bytes:
    """An archive of one file, with what each of its two headers says of the name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("x" * len(name))
        info.extra = local_extra
        archive.writestr(info, b"content")
        info.extra = extra
    content = stream.getvalue().replace(b"x" * len(name), name)
    return content[:6] + local_flags.to_bytes(2, "little") + content[8:]


@pytest.mark.parametrize("says", ["flag", "field"])
def test_the_header_before_the_file_is_read_too(says: str, tmp_path: Path) -> None:
    """What the directory leaves open and the header before the file says is certain."""
    name = "关于检查.txt"
    raw = name.encode("utf-8" if says == "flag" else "gb18030")
    body = b"\x01" + zlib.crc32(raw).to_bytes(4, "little") + name.encode()
    field = b"\x75\x70" + len(body).to_bytes(2, "little") + body
    made = _zip(raw, local_flags=0x800) if says == "flag" else _zip(raw, local_extra=field)
    place = tmp_path / "a.zip"
    place.write_bytes(made)
    (entry,) = ZipSource(place, Limits()).entries()
    assert (entry.path, entry.guessed) == (name, None)
    place.write_bytes(_zip(raw))
    (entry,) = ZipSource(place, Limits()).entries()
    assert (entry.path, entry.guessed) == (name, "utf-8" if says == "flag" else "gb18030")


def test_a_header_of_another_name_says_nothing(tmp_path: Path) -> None:
    """Then the name is guessed, and reading the file tells that the two differ."""
    made = _zip("关于检查.txt".encode("gb18030"), local_flags=0x800)
    place = tmp_path / "a.zip"
    place.write_bytes(made[:30] + b"y" + made[31:])
    (entry,) = ZipSource(place, Limits()).entries()
    assert (entry.path, entry.guessed) == ("关于检查.txt", "gb18030")
