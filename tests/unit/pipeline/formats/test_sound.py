"""The chunks of WAVE, RF64 and AIFF: sound files pass, and what is wrong with others is said."""

from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import pytest

from pipeline.formats.checks import media, sound
from pipeline.formats.tool import Validity


def _chunk(name: bytes, content: bytes, order: str = "<", size: int | None = None) -> bytes:
    stated = len(content) if size is None else size
    return name + struct.pack(f"{order}I", stated) + content + b"\0" * (len(content) % 2)


_FORMAT = struct.pack("<HHIIHH", 1, 2, 8000, 32000, 4, 16)


def _wave(*chunks: bytes, form: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return form + struct.pack("<I", len(body) if size is None else size) + body


def _aiff(*chunks: bytes, kind: bytes = b"AIFF") -> bytes:
    body = kind + b"".join(chunks)
    return b"FORM" + struct.pack(">I", len(body)) + body


_COMMON = struct.pack(">hIh", 1, 4, 16) + b"\x40\x0b\xfa\0\0\0\0\0\0\0"
_SAMPLES = struct.pack(">II", 0, 0) + bytes(8)


def _ds64(total: int, data: int) -> bytes:
    return _chunk(b"ds64", struct.pack("<QQQI", total, data, 0, 0))


def _large(data: bytes = bytes(8)) -> bytes:
    chunks = _chunk(b"fmt ", _FORMAT), _chunk(b"data", data, size=0xFFFFFFFF)
    total = 4 + 36 + sum(map(len, chunks))
    return _wave(_ds64(total, len(data)), *chunks, form=b"RF64", size=0xFFFFFFFF)


_GOOD = {
    "wave": _wave(_chunk(b"fmt ", _FORMAT), _chunk(b"data", bytes(8))),
    "a chunk of odd length": _wave(_chunk(b"fmt ", _FORMAT), _chunk(b"note", b"odd"), _chunk(b"data", bytes(8))),
    "RF64": _large(),
    "AIFF": _aiff(_chunk(b"COMM", _COMMON, ">"), _chunk(b"SSND", _SAMPLES, ">")),
    "AIFC": _aiff(
        _chunk(b"FVER", b"\xa2\x80\x51\x40", ">"), _chunk(b"COMM", _COMMON + b"NONE\0\0", ">"),
        _chunk(b"SSND", _SAMPLES, ">"), kind=b"AIFC",
    ),
    "no samples at all": _aiff(_chunk(b"COMM", struct.pack(">hIh", 1, 0, 16) + bytes(10), ">")),
}  # fmt: skip
_BAD = {
    "cut short": (_GOOD["wave"][:-2], "it is cut short"),
    "RF64 cut short": (_large()[:-2], "it is cut short"),
    "no format": (_wave(_chunk(b"data", bytes(8))), "there is no chunk fmt"),
    "two formats": (_wave(*[_chunk(b"fmt ", _FORMAT)] * 2, _chunk(b"data", bytes(8))), "there are 2 chunks fmt"),
    "no samples": (_wave(_chunk(b"fmt ", _FORMAT)), "there is no chunk data"),
    "samples first": (_wave(_chunk(b"data", bytes(8)), _chunk(b"fmt ", _FORMAT)), "come before the chunk fmt"),
    "half a sample": (_wave(_chunk(b"fmt ", _FORMAT), _chunk(b"data", bytes(6))), "no whole number"),
    "a name with a tab": (_wave(_chunk(b"fmt ", _FORMAT), _chunk(b"a\tbc", b""), _chunk(b"data", b"")), "no name"),
    "too large a chunk": (
        _wave(_chunk(b"fmt ", _FORMAT), _chunk(b"data", bytes(8), size=99)), "has 99 bytes, of which 8 are there"
    ),
    "a short format": (_wave(_chunk(b"fmt ", b"\1\0"), _chunk(b"data", b"")), "the chunk fmt has 2 bytes"),
    "no channels": (
        _wave(_chunk(b"fmt ", struct.pack("<HHIIHH", 1, 0, 1, 1, 0, 8)), _chunk(b"data", b"")), "no channels"
    ),
    "bytes that are no chunk": (_wave(_chunk(b"fmt ", _FORMAT), _chunk(b"data", b""), b"xx"), "are no chunk"),
    "RF64 without its sizes": (_wave(_chunk(b"fmt ", _FORMAT), form=b"RF64"), "does not begin with a chunk ds64"),
    "size never written": (
        _wave(_chunk(b"fmt ", _FORMAT), _chunk(b"data", bytes(8)), size=0xFFFFFFFF), "it is cut short"
    ),
    "AIFF without COMM": (_aiff(_chunk(b"SSND", _SAMPLES, ">")), "there is no chunk COMM"),
    "AIFF without samples": (_aiff(_chunk(b"COMM", _COMMON, ">")), "there is no chunk SSND"),
    "AIFC without version": (
        _aiff(_chunk(b"COMM", _COMMON, ">"), _chunk(b"SSND", _SAMPLES, ">"), kind=b"AIFC"), "no chunk FVER"
    ),
}  # fmt: skip


@pytest.mark.parametrize("content", _GOOD.values(), ids=_GOOD.keys())
def test_sound_files(content: bytes, tmp_path: Path) -> None:
    """No complaint, also of bytes after the end, which some programs leave."""
    place = tmp_path / "a"
    for more in (b"", b"\0"):
        place.write_bytes(content + more)
        found = sound.structure_of(str(place))
        assert found is not None and found.complete
        assert found.problems == []


@pytest.mark.parametrize(("content", "said"), _BAD.values(), ids=_BAD.keys())
def test_broken_sound(content: bytes, said: str, tmp_path: Path) -> None:
    """Each fault by its own words."""
    place = tmp_path / "a"
    place.write_bytes(content)
    found = sound.structure_of(str(place))
    assert found is not None
    assert said in "; ".join(found.problems)


def test_other_files_have_no_such_structure(tmp_path: Path) -> None:
    """An AVI is a RIFF too, and none of ours; nothing is nothing."""
    for content in (b"", b"RIFF\4\0\0\0AVI ", b"FORM\0\0\0\4ILBM", b"fLaC" + bytes(20)):
        place = tmp_path / "a"
        place.write_bytes(content)
        assert sound.structure_of(str(place)) is None


def test_a_million_empty_chunks_are_not_counted(tmp_path: Path) -> None:
    """Then nothing is said of the structure as a whole."""
    place = tmp_path / "a"
    place.write_bytes(
        _wave(_chunk(b"fmt ", _FORMAT), _chunk(b"data", b""), _chunk(b"junk", b"") * 1_000_000)
    )
    found = sound.structure_of(str(place))
    assert found is not None and not found.complete


def test_the_verdict(tmp_path: Path) -> None:
    """Well-formed with what MediaInfo reads, or not valid with what is wrong."""
    place = tmp_path / "a.wav"
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(bytes(1600))
    place.write_bytes(out.getvalue())
    verdict = media.check(str(place))
    assert (verdict.validity, verdict.tool) == (Validity.WELL_FORMED, "Stele, RIFF")
    assert verdict.facts["audio sampling rate"] == "8000"
    place.write_bytes(out.getvalue()[:-100])
    verdict = media.check(str(place))
    assert verdict.validity is Validity.NOT_VALID and "it is cut short" in verdict.messages[0]
