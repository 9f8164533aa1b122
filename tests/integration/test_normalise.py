"""Every converter with the real program: what it makes is compared, what is broken gives no result."""

from __future__ import annotations

import math
import struct
import subprocess
import wave
from pathlib import Path

import pikepdf
import pytest
from PIL import Image, ImageDraw
from requirements import unavailable

from pipeline.formats.normalise import CONVERTERS, Converted

_HTML = """<html><meta charset="utf-8"><body><h1>档案移交清单</h1><p>Transfer list, 2026.</p>
<table border="1"><tr><th>档号</th><th>题名</th></tr><tr><td>J001-2026-01</td><td>关于…的请示</td></tr>
<tr><td>J001-2026-02</td><td>Lettre à l'archiviste</td></tr></table></body></html>"""
_CSV = "Agency,Files,Bytes\n教育厅,12,1024\nHealth,7,99\n"


def _convert(name: str, *sources: Path, folder: Path) -> list[Converted]:
    converter = CONVERTERS[name]
    state = converter.state()
    if not state.usable:
        unavailable(f"{state.name}: {state.problem}")
    return converter.convert(list(sources), folder)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Documents of every kind, made by LibreOffice itself."""
    folder = tmp_path_factory.mktemp("office")
    if not CONVERTERS["office-pdf"].state().usable:
        unavailable("no LibreOffice here")
    (folder / "text.html").write_text(_HTML, "utf-8")
    (folder / "table.csv").write_text(_CSV, "utf-8")
    _outline(folder / "slides.fodp")
    made = {}
    for source, kinds in (("text.html", ("odt", "docx", "doc", "rtf")), ("table.csv", ("xlsx", "ods", "xls")),
                          ("slides.fodp", ("pptx", "odp", "ppt"))):  # fmt: skip
        for kind in kinds:
            infilter = ["--infilter=HTML (StarWriter)"] if source == "text.html" else []
            subprocess.run(
                ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", *infilter,
                 "--convert-to", kind, "--outdir", folder, folder / source],
                check=True, capture_output=True, timeout=120,
            )  # fmt: skip
            made[kind] = folder / f"{Path(source).stem}.{kind}"
            assert made[kind].is_file(), kind
    return made


def _outline(path: Path) -> None:
    page = (
        '<draw:page draw:name="{0}"><draw:frame svg:width="20cm" svg:height="3cm" svg:x="2cm" svg:y="2cm">'
    )
    page += "<draw:text-box><text:p>第{0}页 Slide {0}</text:p></draw:text-box></draw:frame></draw:page>"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><office:document office:version="1.3" '
        'office:mimetype="application/vnd.oasis.opendocument.presentation" '
        'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
        'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
        'xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" '
        'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:presentation>'
        + "".join(page.format(number) for number in (1, 2, 3))
        + "</office:presentation></office:body></office:document>", "utf-8",
    )  # fmt: skip


def test_office_documents(office: dict[str, Path], tmp_path: Path) -> None:
    """Ten kinds in three runs; each a PDF/A-2b with as many slides as there were."""
    done = dict(
        zip(office, _convert("office-pdfa", *office.values(), folder=tmp_path / "out"), strict=True)
    )
    for kind, one in done.items():
        assert one.result is not None, (kind, one.problems)
        with pikepdf.open(one.result) as document, document.open_metadata() as metadata:
            assert metadata.pdfa_status == "2B"
    for kind in ("pptx", "odp"):
        assert done[kind].compared == ("3 slides = 3 pages",)
    print("\n" + "\n".join(f"{kind}: {one.tool}; {one.compared}" for kind, one in done.items()))


def test_office_impostors(office: dict[str, Path], tmp_path: Path) -> None:
    """A text called .docx, a truncated one, an empty one: no result, and the good one beside them has."""
    text, cut, empty = (tmp_path / f"{name}.docx" for name in ("text", "cut", "empty"))
    text.write_text("just a text")
    content = office["docx"].read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    empty.touch()
    done = _convert("office-pdfa", text, cut, office["docx"], empty, folder=tmp_path / "out")
    assert [one.result is not None for one in done] == [False, False, True, False]
    assert "no ZIP" in done[0].problems[0]


def _picture(size: tuple[int, int] = (300, 200)) -> Image.Image:
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    ImageDraw.Draw(image).ellipse((40, 40, 160, 160), fill=(200, 30, 30))
    return image


def _images(folder: Path) -> dict[str, Path]:
    deep = Image.new("I;16", (300, 200))
    deep.putdata([(x * 200 + y * 7) % 65536 for y in range(200) for x in range(300)])
    alpha = _picture().convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize((300, 200)))
    variants = {
        "rgb.png": _picture(), "grey.tif": _picture().convert("L"), "cmyk.tif": _picture().convert("CMYK"),
        "deep.png": deep, "alpha.png": alpha, "palette.gif": _picture().convert("P"),
        "lines.tif": _picture().convert("1"), "photo.jpg": _picture(), "old.bmp": _picture(),
    }  # fmt: skip
    for name, image in variants.items():
        image.save(folder / name)
    return {name: folder / name for name in variants}


@pytest.mark.parametrize("name", ["image-tiff", "image-jp2"])
def test_images_without_loss(name: str, tmp_path: Path) -> None:
    """Not a pixel differs, whatever the mode; what could not be kept equal is refused."""
    images = _images(tmp_path)
    done = dict(zip(images, _convert(name, *images.values(), folder=tmp_path / "out"), strict=True))
    refused = {image: one.problems for image, one in done.items() if one.result is None}
    print(f"\n{name}: refused {refused}")
    assert set(refused) <= ({"cmyk.tif", "lines.tif"} if name == "image-jp2" else set())
    assert all(
        "difference 0" in " ".join(one.compared) and one.lossless for one in done.values() if one.result
    )


def test_several_images_in_one_file(tmp_path: Path) -> None:
    """Every page and every frame comes along and is compared; JPEG 2000 cannot hold them and is refused."""
    pages = [
        _picture(),
        _picture().rotate(90, expand=True).resize((300, 200)),
        _picture().convert("L").convert("RGB"),
    ]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "moving.gif", save_all=True, append_images=pages[1:], duration=100)
    sources = [tmp_path / "scan.tif", tmp_path / "moving.gif"]
    for one in _convert("image-tiff", *sources, folder=tmp_path / "tiff"):
        assert one.result is not None, one.problems
        assert one.compared[0] == "3 images = 3 images"
        with Image.open(one.result) as image:
            assert image.n_frames == 3
    assert "the times between them are not kept" in one.compared
    for one in _convert("image-jp2", *sources, folder=tmp_path / "jp2"):
        assert one.result is None
        assert "3 images in it, 1 in the result" in one.problems[0]


def test_images_to_look_at(tmp_path: Path) -> None:
    """JPEG of a size for a screen, the same picture."""
    images = _images(tmp_path)
    _picture((5000, 3000)).save(tmp_path / "large.png")
    images["large.png"] = tmp_path / "large.png"
    done = dict(zip(images, _convert("image-jpeg", *images.values(), folder=tmp_path / "out"), strict=True))
    for name, one in done.items():
        assert one.result is not None, (name, one.problems)
        with Image.open(one.result) as image:
            assert (image.format, max(image.size) <= 2400) == ("JPEG", True)
    assert "5000x3000 became 2400x1440" in done["large.png"].compared


def test_broken_images(tmp_path: Path) -> None:
    """Half an image is no image."""
    whole = _images(tmp_path)["rgb.png"].read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "noise.tif").write_bytes(bytes(range(256)) * 30)
    for name in ("image-tiff", "image-jp2", "image-jpeg"):
        done = _convert(name, tmp_path / "cut.png", tmp_path / "noise.tif", folder=tmp_path / name)
        assert [one.result for one in done] == [None, None], name
        assert all(one.problems for one in done)


def _sound(path: Path) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44100)
        samples = (int(20000 * math.sin(n / 20)) for n in range(44100 * 2))
        out.writeframes(b"".join(struct.pack("<hh", s, -s) for s in samples))
    return path


def _video(path: Path, *codec: str) -> Path:
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=2", "-f", "lavfi",
         "-i", "sine=duration=2", *codec, path],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return path


@pytest.fixture
def media(tmp_path: Path) -> dict[str, Path]:
    """A sound and two videos."""
    if not CONVERTERS["audio-flac"].state().usable:
        unavailable("no ffmpeg here")
    return {
        "wav": _sound(tmp_path / "a.wav"),
        "avi": _video(tmp_path / "b.avi", "-c:v", "mjpeg", "-q:v", "3", "-c:a", "pcm_s16le"),
        "mp4": _video(tmp_path / "c.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    }


def test_sound_and_video_without_loss(media: dict[str, Path], tmp_path: Path) -> None:
    """Every decoded frame and sample is the same; lossy sound is carried over, not rounded."""
    (flac,) = _convert("audio-flac", media["wav"], folder=tmp_path / "flac")
    done = [flac, *_convert("video-ffv1", media["avi"], media["mp4"], folder=tmp_path / "mkv")]
    for one in done:
        assert one.result is not None, one.problems
        assert one.lossless
        assert "SHA-256 of all decoded frames and samples is equal" in one.compared
    print("\n" + "\n".join(str(one.compared) for one in done))


def test_sound_and_video_to_hear_and_see(media: dict[str, Path], tmp_path: Path) -> None:
    """As long as before, and not said to be without loss."""
    (mp3,) = _convert("audio-mp3", media["wav"], folder=tmp_path / "mp3")
    done = [mp3, *_convert("video-mp4", media["avi"], media["mp4"], folder=tmp_path / "mp4")]
    for one in done:
        assert one.result is not None, one.problems
        assert not one.lossless


@pytest.mark.parametrize("name", ["audio-flac", "video-ffv1", "video-mp4"])
def test_broken_media(name: str, media: dict[str, Path], tmp_path: Path) -> None:
    """A source with errors makes no copy, though ffmpeg would go on and exit 0."""
    places = []
    for kind, part in (("wav", 0.5), ("avi", 0.7), ("mp4", 0.9)):
        content = media[kind].read_bytes()
        places.append(tmp_path / f"cut.{kind}")
        places[-1].write_bytes(content[: int(len(content) * part)])
    places.append(tmp_path / "noise.avi")
    places[-1].write_bytes(bytes(range(256)) * 40)
    done = _convert(name, *places, folder=tmp_path / name)
    assert [one.result for one in done] == [None] * 4, done
    assert all(one.problems for one in done)


def test_pdf(office: dict[str, Path], tmp_path: Path) -> None:
    """Pages and their sizes stay; what Ghostscript drops is named; a broken PDF gives nothing."""
    (made,) = _convert("office-pdf", office["odt"], folder=tmp_path / "pdf")
    assert made.result is not None
    (tmp_path / "cut.pdf").write_bytes(made.result.read_bytes()[:600])
    good, bad = _convert("pdf-pdfa", made.result, tmp_path / "cut.pdf", folder=tmp_path / "out")
    assert good.result is not None, good.problems
    assert good.compared == ("1 page(s) = 1 page(s), same sizes",)
    assert bad.result is None
    print(f"\n{good.tool}: {good.problems}")
