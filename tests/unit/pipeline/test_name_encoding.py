"""Names without an encoding mark, in the encodings agencies really send."""

import zlib

import pytest

from pipeline.receive.name_encoding import decode_names, unicode_path

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
