"""Converters whose programs are missing, old, silent, slow, dead, or make something else. Stand-ins speak."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

import pipeline.formats.normalise.image as image_module
import pipeline.formats.normalise.media as media_module
import pipeline.formats.normalise.office as office_module
import pipeline.formats.normalise.pdf as pdf_module
from pipeline.formats.normalise.image import image_converters
from pipeline.formats.normalise.media import media_converters
from pipeline.formats.normalise.office import office_converters
from pipeline.formats.normalise.pdf import PdfToPdfA

_VERSIONS = {
    "soffice": ("--version", "LibreOffice {} 40"), "vips": ("--version", "vips-{}"),
    "gs": ("--version", "{}"), "ffmpeg": ("-version", "ffmpeg version {}-0"), "ffprobe": ("-version", "{}"),
}  # fmt: skip
_NOW = {"soffice": "7.4.7", "vips": "8.14.1", "gs": "10.00", "ffmpeg": "5.1", "ffprobe": "5.1"}
_OLD = {"soffice": "6.4.7", "vips": "8.4.0", "gs": "9.20", "ffmpeg": "3.4", "ffprobe": "3.4"}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts stand-ins on the PATH; ``does`` is shell text by program, run when it converts."""
    place = tmp_path / "bin"
    place.mkdir()
    for module in (image_module, media_module, office_module, pdf_module):
        monkeypatch.setattr(module, "_TIMEOUT_S", 1.0)
    monkeypatch.setattr(office_module, "_TIMEOUT_EACH_S", 0.0)

    def put(versions: dict[str, str] = _NOW, **does: str) -> None:
        for name, version in versions.items():
            option, words = _VERSIONS[name]
            text = f'#!/bin/sh\ncase "$*" in *{option}) echo "{words.format(version)}"; exit 0;; esac\n'
            (place / name).write_text(text + does.get(name, "") + "\nexit 0\n")
            (place / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin" if versions else str(place))

    return put


def _sources(folder: Path) -> dict[str, Path]:
    Image.new("RGB", (40, 30), "red").save(folder / "a.png")
    pikepdf_file(folder / "b.pdf", 2)
    with zipfile.ZipFile(folder / "c.pptx", "w") as archive:
        for number in (1, 2):
            archive.writestr(f"ppt/slides/slide{number}.xml", "<s/>")
    (folder / "d.wav").write_bytes(b"RIFF\x04\0\0\0WAVE")
    return {
        "image": folder / "a.png",
        "pdf": folder / "b.pdf",
        "office": folder / "c.pptx",
        "media": folder / "d.wav",
    }


def pikepdf_file(path: Path, pages: int, *, claim: bool = False) -> None:
    """A PDF of so many pages, which may say that it is PDF/A-2b."""
    document = pikepdf.new()
    for _ in range(pages):
        document.add_blank_page(page_size=(200, 300))
    if claim:
        with document.open_metadata() as metadata:
            metadata["pdfaid:part"] = "2"
            metadata["pdfaid:conformance"] = "B"
    document.save(path)


def _all(folder: Path) -> list[tuple[str, object]]:
    return [
        ("office", office_converters()[0]), ("image", image_converters()[0]),
        ("media", media_converters()[0]), ("pdf", PdfToPdfA()),
    ]  # fmt: skip


def test_missing_and_old(programs, tmp_path: Path) -> None:
    """Each says so, and what is needed."""
    programs({})
    assert all("not installed" in converter.state().problem for _, converter in _all(tmp_path))
    programs(_OLD)
    assert all("too old" in converter.state().problem for _, converter in _all(tmp_path))


@pytest.mark.parametrize("evil", ["", "sleep 30", "kill -9 $$", "exit 3"])
def test_no_output(evil: str, programs, tmp_path: Path) -> None:
    """Silent success, a hang, a death, an error: no result, and a reason."""
    sources = _sources(tmp_path)
    programs(**dict.fromkeys(_NOW, evil))
    for kind, converter in _all(tmp_path):
        (done,) = converter.convert([sources[kind]], tmp_path / f"out-{kind}")
        assert done.result is None, kind
        assert done.problems, kind
        assert done.tool


def _writes(place: Path) -> dict[str, str]:
    """Shell text by which each stand-in makes its output a copy of this file."""
    return {
        "soffice": 'for word; do last=$word; previous=$was; was=$word; done\n'
                   'while [ $# -gt 0 ]; do [ "$1" = --outdir ] && out=$2; shift; done\n'
                   f"cp {place} $out/0.pdf",
        "vips": f'target=${{3%%[[]*}}; cp {place} "$target"',
        "gs": f'for word; do case $word in -sOutputFile=*) cp {place} "${{word#*=}}";; esac; done',
        "ffmpeg": f'for word; do last=$word; done; cp {place} "${{last#file:}}"',
    }  # fmt: skip


def _bytes(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 31), "red").save(out, kind)
    return out.getvalue()


def test_garbage(programs, tmp_path: Path) -> None:
    """Output that no other program can open."""
    sources = _sources(tmp_path)
    (tmp_path / "garbage").write_bytes(b"%PDF-1.4 cut short")
    programs(**_writes(tmp_path / "garbage"), ffprobe="echo nonsense")
    for kind, converter in _all(tmp_path):
        (done,) = converter.convert([sources[kind]], tmp_path / f"out-{kind}")
        assert done.result is None, kind
        assert done.problems


def test_something_else(programs, tmp_path: Path) -> None:
    """Other pages, another size, another length than the source has."""
    sources = _sources(tmp_path)
    pikepdf_file(tmp_path / "three.pdf", 3, claim=True)
    (tmp_path / "other.tif").write_bytes(_bytes("TIFF"))
    writes = _writes(tmp_path / "three.pdf")
    writes["vips"] = _writes(tmp_path / "other.tif")["vips"]
    lengths = "for word; do last=$word; done; case $last in *flac) d=9.0;; *) d=2.0;; esac\n"
    lengths += 'echo "{\\"format\\": {\\"duration\\": \\"$d\\"}, \\"streams\\": [{\\"codec_type\\": \\"audio\\"}]}"'
    programs(**writes, ffprobe=lengths)
    said = {}
    for kind, converter in _all(tmp_path):
        (done,) = converter.convert([sources[kind]], tmp_path / f"out-{kind}")
        assert done.result is None, kind
        said[kind] = done.problems[0]
    assert said == {
        "office": "2 slides became 3 pages", "image": "40x30 became 40x31",
        "media": "2.00 s became 9.00 s", "pdf": "2 page(s) became 3",
    }  # fmt: skip


def test_a_claim_that_is_missing(programs, tmp_path: Path) -> None:
    """Two pages, but nothing in it says PDF/A-2b."""
    sources = _sources(tmp_path)
    pikepdf_file(tmp_path / "two.pdf", 2)
    programs(**_writes(tmp_path / "two.pdf"))
    for kind, converter in (("office", office_converters()[0]), ("pdf", PdfToPdfA())):
        (done,) = converter.convert([sources[kind]], tmp_path / f"out-{kind}")
        assert "does not claim PDF/A-2b" in done.problems[0]
