"""Signatures of our own: what Chinese offices use, and what an archive adds itself."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from pipeline.formats.local_signatures import SignatureError, load_signatures, match_local
from stele.wiring import shipped_config

_OFD = '<ofd:OFD xmlns:ofd="http://www.ofdspec.org/2016" DocType="{}"/>'
_EEP = '<?xml version="1.0"?>\n<电子文件封装包 xmlns="http://www.saac.gov.cn/standards/ERM/encapsulation"/>'
_BOMB = (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<uof:UOF xmlns:uof="http://schemas.uof.org/cn/2003/uof" x="&b;"/>'
)


def _zip(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return path


def _ole(path: Path, *streams: str) -> Path:
    """A compound file with these (empty) streams: header, one sector of table, one of directory."""
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    header += bytes(6) + struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    header += struct.pack("<I", 0) + b"\xff" * 108 * 4
    table = struct.pack("<II", 0xFFFFFFFD, 0xFFFFFFFE) + b"\xff" * (512 - 8)
    entries = b""
    for name in ("Root Entry", *streams):
        text = name.encode("utf-16-le")
        kind = 5 if name == "Root Entry" else 2
        entries += text.ljust(64, b"\0") + struct.pack("<HB", len(text) + 2, kind) + bytes(61)
    path.write_bytes(header + table + entries.ljust(512, b"\0"))
    return path


def _id(path: Path, puid: str) -> str | None:
    found = match_local(str(path), puid, load_signatures([shipped_config() / "signatures"]))
    return found[0].id if found else None


def test_ofd_and_its_archiving_profile(tmp_path: Path) -> None:
    """The DocType tells them apart; another ZIP is neither."""
    assert _id(_zip(tmp_path / "a.ofd", OFD__xml=_OFD.format("OFD")), "x-fmt/263") == "local/ofd"
    assert _id(_zip(tmp_path / "b.ofd", OFD__xml=_OFD.format("OFD-A")), "x-fmt/263") == "local/ofd-a"
    assert _id(_zip(tmp_path / "c.ofd", other__xml="<a/>"), "x-fmt/263") is None
    assert _id(_zip(tmp_path / "d.ofd", OFD__xml="<a/>"), "x-fmt/263") is None


def test_xml_formats(tmp_path: Path) -> None:
    """By the first element and its namespace, whatever the name; entities are never expanded."""
    (tmp_path / "a.xml").write_text(_EEP, "utf-8")
    (tmp_path / "b.uof").write_text(_BOMB)
    (tmp_path / "c.xml").write_text("<UOF/>")
    assert _id(tmp_path / "a.xml", "fmt/101") == "local/eep"
    assert _id(tmp_path / "b.uof", "fmt/101") == "local/uof-1"
    assert _id(tmp_path / "c.xml", "fmt/101") is None


def test_ceb(tmp_path: Path) -> None:
    """Eleven bytes are all that is known of it."""
    (tmp_path / "a.bin").write_bytes(b"Founder CEB 3.0" + bytes(100))
    assert _id(tmp_path / "a.bin", "UNKNOWN") == "local/ceb"
    assert _id(tmp_path / "a.bin", "fmt/18") is None, "what PRONOM knows is not looked at"


@pytest.mark.parametrize(
    ("name", "stream", "puid", "expected"),
    [
        ("a.wps", "WordDocument", "fmt/40", "local/wps"),
        ("a.et", "Workbook", "fmt/61", "local/et"),
        ("a.dps", "PowerPoint Document", "fmt/126", "local/dps"),
        ("a.doc", "WordDocument", "fmt/40", None),  # a Word document is one
        ("a.wps", "MatOST", "fmt/111", None),  # Microsoft Works is none of Kingsoft's
    ],
)
def test_kingsoft(name: str, stream: str, puid: str, expected: str | None, tmp_path: Path) -> None:
    """Name and streams together: either alone says another format."""
    assert _id(_ole(tmp_path / name, stream), puid) == expected


@pytest.mark.parametrize("cut", [0, 1, 8, 40, 511, 512, 600, 1100, 1500])
def test_broken_compound_files(cut: int, tmp_path: Path) -> None:
    """Cut anywhere they are no match, never an error."""
    whole = _ole(tmp_path / "a.wps", "WordDocument").read_bytes()
    (tmp_path / "b.wps").write_bytes(whole[:cut])
    assert _id(tmp_path / "b.wps", "fmt/111") in (None, "local/wps")


def test_an_archive_adds_its_own(tmp_path: Path) -> None:
    """A file in the workspace; a mistake in it names file and key."""
    own = tmp_path / "own.toml"
    own.write_text('[[format]]\nid = "local/x"\nname = "X"\nafter = ["UNKNOWN"]\nmagic = "XXXX"\n')
    (tmp_path / "a").write_bytes(b"XXXX1")
    found = match_local(str(tmp_path / "a"), "UNKNOWN", load_signatures([tmp_path]))
    assert found is not None
    assert (found[0].name, found[1]) == ("X", "first bytes “XXXX”")
    for wrong, said in [("id = 'fmt/1'", "begins with"), ("colour = 1", "unknown key colour")]:
        own.write_text(f'[[format]]\nname = "X"\nafter = []\nmagic = "X"\nid = "local/x"\n{wrong}\n'.replace(
            'id = "local/x"\nid', "id"))  # fmt: skip
        with pytest.raises(SignatureError, match=said) as error:
            load_signatures([tmp_path])
        assert "own.toml" in str(error.value)
