"""What a foreign tool can reach: its input, its output, and nothing that a file refers to."""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import sys
import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pikepdf
import pytest
from PIL import Image
from requirements import unavailable

from pipeline.confinement import ConfinementState, confinement
from pipeline.confinement import command as command_module
from pipeline.formats import tool as tool_module
from pipeline.formats.builtin import Builtin
from pipeline.formats.exiftool import ExifTool
from pipeline.formats.ffmpeg import FfmpegDecode
from pipeline.formats.identification import Identifier
from pipeline.formats.jhove import Jhove
from pipeline.formats.kinds import Kind
from pipeline.formats.mediaconch import MediaConch
from pipeline.formats.normalise import CONVERTERS
from pipeline.formats.tool import Validator, run_tool
from pipeline.formats.verapdf import VeraPdf

_MARK = "MARKED-7f3a"
_TOOLS = Path(__file__).parent.parent.parent / ".tools"

_STATES = {
    "landlock": ConfinementState("landlock", "own", ""),
    "bubblewrap": ConfinementState("bubblewrap", "own", ""),
    "network only": ConfinementState("none", "own", ""),
}


@pytest.fixture(params=_STATES)
def state(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ConfinementState:
    """Each way of confining that works on this machine."""
    chosen = _STATES[request.param]
    here = confinement()
    if chosen.files == "landlock" and here.files != "landlock":
        unavailable("this kernel has no Landlock")
    if chosen.files == "bubblewrap" and not command_module._bubblewrap_works():
        unavailable("no bubblewrap here")
    if here.network != "own":
        unavailable("no network namespaces here")
    monkeypatch.setattr(command_module, "confinement", lambda: chosen)
    return chosen


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the archive's own, with a marked text, sound and picture."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text(_MARK * 3, "ascii")
    _sound(folder / "secret.wav", seconds=3)
    Image.new("RGB", (40, 40), (255, 0, 0)).save(folder / "secret.png")
    return folder


def _sound(path: Path, *, seconds: float) -> None:
    with wave.open(str(path), "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(8000)
        tone = (int(9000 * math.sin(n / 8)) for n in range(int(8000 * seconds)))
        sink.writeframes(b"".join(struct.pack("<h", value) for value in tone))


_PROBE = """
import json, os, socket, sys
def attempt(action):
    try:
        return action()
    except Exception as error:
        return type(error).__name__
where = json.loads(sys.argv[1])
def connect():
    socket.create_connection(("127.0.0.1", where["port"]), 2).close()
    return "connected"
print(json.dumps({
    "input": attempt(lambda: open(where["input"]).read()),
    "outside": attempt(lambda: open(where["outside"]).read()),
    "listed": attempt(lambda: os.listdir(os.path.dirname(where["outside"]))),
    "parent": attempt(lambda: open(f"/proc/{where['parent']}/environ").read() and "read"),
    "write outside": attempt(lambda: open(where["outside"] + ".new", "w").close() or "written"),
    "write input": attempt(lambda: open(where["input"], "a").close() or "written"),
    "write result": attempt(lambda: open(where["result"], "w").close() or "written"),
    "scratch": attempt(lambda: open(os.environ["TMPDIR"] + "/x", "w").close() or "written"),
    "network": attempt(connect),
    "secret": os.environ.get("AWS_SECRET_ACCESS_KEY", "none"),
}))
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A server that this test listens with."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_what_a_program_reaches(
    state: ConfinementState, outside: Path, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its input to read, its result to write; no secret, no neighbour, no network."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    mine, results = tmp_path / "in.txt", tmp_path / "results"
    mine.write_text("mine")
    results.mkdir()
    where = {
        "input": str(mine), "outside": str(outside / "secret.txt"), "result": str(results / "r"), "port": port,
        "parent": os.getpid(),
    }  # fmt: skip
    probe = [sys.executable, "-I", "-c", _PROBE, json.dumps(where)]
    ran = run_tool(probe, seconds=30, reads=[mine], writes=[results])
    assert ran.code == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["input"] == "mine"
    assert said["write result"] == said["scratch"] == "written"
    assert said["secret"] == "none"
    assert said["network"] != "connected"
    if state.files == "none":
        assert said["outside"] == _MARK * 3, "what doctor says: files are not confined without both"
        return
    assert said["outside"] in ("PermissionError", "FileNotFoundError")
    assert said["listed"] in ("PermissionError", "FileNotFoundError")
    assert said["parent"] in ("PermissionError", "FileNotFoundError")
    assert said["write outside"] in ("PermissionError", "FileNotFoundError", "OSError")
    assert said["write input"] in ("PermissionError", "OSError")
    assert not (outside / "secret.txt.new").exists()


def test_without_confinement_the_probe_reaches_it(
    outside: Path, tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what the tests look for is there to be found."""
    monkeypatch.setattr(command_module, "confinement", lambda: ConfinementState("none", "open", ""))
    where = {
        "input": str(outside / "secret.txt"), "outside": str(outside / "secret.txt"),
        "result": str(tmp_path / "r"), "port": port, "parent": os.getpid(),
    }  # fmt: skip
    ran = run_tool([sys.executable, "-I", "-c", _PROBE, json.dumps(where)], seconds=30)
    said = json.loads(ran.stdout)
    assert said["outside"] == _MARK * 3
    assert said["network"] == "connected"
    assert said["parent"] == "read"


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that writes without end, or takes memory without end, is stopped."""
    endless = ["dd", "if=/dev/zero", f"of={tmp_path}/r", "bs=1M"]
    with pytest.raises(tool_module.ToolError, match="it wrote a file of more than 3 MiB"):
        run_tool(endless, seconds=30, writes=[tmp_path], max_file_bytes=3 << 20)
    monkeypatch.setattr(tool_module, "_MAX_MEMORY_BYTES", 256 << 20)
    hungry = run_tool([sys.executable, "-I", "-c", "x = bytearray(1 << 30)"], seconds=30)
    assert hungry.code == 1
    assert "MemoryError" in hungry.stderr


def test_siegfried_is_not_shown_what_it_could_not_hold(tmp_path: Path) -> None:
    """An archive whose directory alone takes gigabytes is named as that, and costs its neighbours nothing."""
    entries = 6_000_000
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 1, 0) + b"a"
    entry = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    directory = (entry + b"a") * entries
    end = struct.pack(
        "<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, len(directory), len(local)
    )
    end += struct.pack("<4sIQI", b"PK\6\7", 0, len(local) + len(directory), 1)
    end += struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (tmp_path / "large.zip").write_bytes(local + directory + end)
    del directory
    (tmp_path / "small.txt").write_text("a few words")
    identifier = Identifier(workers=1)
    try:
        names = [str(tmp_path / name) for name in ("small.txt", "large.zip", "small.txt")]
        before, large, after = identifier.identify(names)
    finally:
        identifier.close()
    assert (before.puid, after.puid) == ("x-fmt/111", "x-fmt/111")
    assert large.puid == "x-fmt/263"
    assert "6,000,000 entries" in large.basis


def test_what_cannot_be_confined_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A confinement that fails when it is needed is an error, never a run without it."""
    launcher = command_module._LAUNCHER.read_text("utf-8")
    broken = tmp_path / "launcher.py"
    broken.write_text(
        launcher.replace(
            "_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444",
            "_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 99444",
        )
    )
    monkeypatch.setattr(command_module, "_LAUNCHER", broken)
    monkeypatch.setattr(command_module, "confinement", lambda: _STATES["landlock"])
    with pytest.raises(tool_module.ToolError, match="could not be confined"):
        run_tool(["true"], seconds=30)


# -- a test per tool: what a file refers to never comes back ---------------------------------------------


def _playlists(folder: Path, secret: Path) -> list[Path]:
    hls = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet '
        'mimeType="audio/wav"><Representation id="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet>'
        "</Period></MPD>"
    )
    contents = {
        "hls.m3u8": hls.format(secret), "hls.mp4": hls.format(secret), "relative.m3u8": hls.format("outside/secret.wav"),
        "dash.mpd": dash.format(secret), "list.mp3": f"ffconcat version 1.0\nfile '{secret}'\n",
        "dref.mov": _movie_elsewhere(f"file://{secret}"),
    }  # fmt: skip
    made = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        made.append(path)
    return made


def _movie_elsewhere(url: str) -> bytes:
    """A QuickTime film whose only track lies in another file (ISO/IEC 14496-12 §8.7.2)."""

    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", 8 + len(content)) + kind + content

    def full(kind: bytes, content: bytes, flags: int = 0) -> bytes:
        return box(kind, struct.pack(">I", flags) + content)

    entry = bytes(6) + struct.pack(">HHHIHHHHI", 1, 0, 0, 0, 1, 16, 0, 0, 8000 << 16)
    table = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1) + box(b"sowt", entry))
        + full(b"stts", struct.pack(">III", 1, 100, 1))
        + full(b"stsc", struct.pack(">IIII", 1, 1, 100, 1))
        + full(b"stsz", struct.pack(">II", 2, 100))
        + full(b"stco", struct.pack(">II", 1, 48)),
    )
    reference = full(b"dref", struct.pack(">I", 1) + full(b"url ", url.encode() + b"\0"))
    information = box(b"minf", full(b"smhd", bytes(4)) + box(b"dinf", reference) + table)
    header = full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 8000, 100, 0, 0))
    media = box(b"mdia", header + full(b"hdlr", b"mhlrsoun" + bytes(12) + b"\0") + information)
    track = box(b"trak", full(b"tkhd", struct.pack(">IIIII", 0, 0, 1, 0, 100) + bytes(60), 7) + media)
    movie = full(b"mvhd", struct.pack(">IIIII", 0, 0, 600, 100, 0x10000) + bytes(80)) + track
    return box(b"ftyp", b"qt  " + bytes(4) + b"qt  ") + box(b"moov", movie)


def test_mediainfo(outside: Path, tmp_path: Path) -> None:
    """Playlists, manifests and references of films: nothing of the sound outside is told."""
    lists = _playlists(tmp_path, outside / "secret.wav")
    own = tmp_path / "own.wav"
    _sound(own, seconds=1)
    builtin = Builtin()
    try:
        *answers, sound = builtin.check([*lists, own], Kind.MEDIA)
    finally:
        builtin.close()
    for path, verdict in zip(lists, answers, strict=True):
        assert "3.000" not in str(dict(verdict.facts)), (path.name, verdict)
        assert not any("sampling rate" in name and path.name != "dref.mov" for name in verdict.facts), (
            path.name
        )
    assert sound.facts["duration"] == "1.000"


def test_ffmpeg(outside: Path, tmp_path: Path) -> None:
    """Neither decoded nor converted, whatever they are called."""
    lists = _playlists(tmp_path, outside / "secret.wav")
    decoder = FfmpegDecode()
    _usable(decoder)
    for path, verdict in zip(lists, decoder.check(lists, ""), strict=True):
        assert path.name == "dref.mov" or verdict.validity in ("not-valid", "unknown"), (path.name, verdict)
    for name in ("audio-flac", "audio-mp3", "video-mp4"):
        for one in CONVERTERS[name].convert(lists, tmp_path / name):
            # Of a film whose sound lies elsewhere ffmpeg takes its own bytes for it: a fraction of a second.
            own = one.source.name == "dref.mov" and str(one.compared).startswith("('0.")
            assert one.result is None or own, (name, one)


def test_mediaconch(outside: Path, tmp_path: Path) -> None:
    """It is asked about Matroska; what it says of a playlist in its place tells nothing of the sound."""
    tool = MediaConch()
    _usable(tool)
    for verdict in tool.check(_playlists(tmp_path, outside / "secret.wav"), "fmt/569"):
        assert "secret" not in str(verdict)
        assert not verdict.facts


_XXE = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e SYSTEM "file://{}">]><r>&e;</r>'


def _pdf_with_entity(path: Path, secret: Path) -> None:
    document = pikepdf.new()
    document.add_blank_page()
    xmp = f'<?xpacket begin="" id="x"?>{_XXE.format(secret)}<?xpacket end="w"?>'.encode()
    document.Root.Metadata = pikepdf.Stream(
        document, xmp, Type=pikepdf.Name.Metadata, Subtype=pikepdf.Name.XML
    )
    document.save(path)


def test_jhove_and_verapdf(outside: Path, tmp_path: Path) -> None:
    """An external entity in the XMP of a PDF is not in any message."""
    pdf = tmp_path / "a.pdf"
    _pdf_with_entity(pdf, outside / "secret.txt")
    for tool, batch in ((Jhove(_TOOLS / "jhove"), "PDF-hul"), (VeraPdf(_TOOLS / "verapdf"), "fmt/476")):
        _usable(tool)
        said = str(tool.check([pdf], batch))
        assert _MARK not in said


def test_built_in_checks(outside: Path, tmp_path: Path) -> None:
    """The same for the XML and PDF checks, and for office files: entities are not opened."""
    xml, pdf, odt = tmp_path / "a.xml", tmp_path / "a.pdf", tmp_path / "a.odt"
    xml.write_text(_XXE.format(outside / "secret.txt"))
    _pdf_with_entity(pdf, outside / "secret.txt")
    with zipfile.ZipFile(odt, "w") as sink:
        sink.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        sink.writestr("content.xml", _XXE.format(outside / "secret.txt"))
    builtin = Builtin()
    try:
        for path, kind in ((xml, Kind.XML), (pdf, Kind.PDF), (odt, Kind.ODF)):
            assert _MARK not in str(builtin.check([path], kind)), kind
    finally:
        builtin.close()


def test_exiftool(outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs no configuration that lies in the current folder or in a home, and follows no link of a file."""
    tool = ExifTool()
    _usable(tool)
    picture = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(picture)
    config = f'open(F, "<", "{outside}/secret.txt"); print <F>; 1;'
    (tmp_path / ".ExifTool_config").write_text(config)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _MARK not in str(tool.check([picture], ""))


def _linked_text(path: Path, outside: Path) -> None:
    """A text whose picture and section are links, as LibreOffice writes them."""
    spaces = " ".join(
        f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for prefix, name in (("office", "office"), ("text", "text"), ("draw", "drawing"),
                             ("svg", "svg-compatible"), ("manifest", "manifest"))
    )  # fmt: skip
    content = (
        f'<office:document-content {spaces} xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.2">'
        "<office:body><office:text><text:p>Own text.</text:p><text:p><draw:frame svg:width='4cm' "
        f"svg:height='4cm'><draw:image xlink:href='file://{outside}/secret.png' xlink:type='simple' "
        "xlink:show='embed' xlink:actuate='onLoad'/></draw:frame></text:p><text:section text:name='S'>"
        f"<text:section-source xlink:href='file://{outside}/secret.txt' text:filter-name='Text'/>"
        "<text:p>x</text:p></text:section></office:text></office:body></office:document-content>"
    )
    manifest = (
        f'<manifest:manifest {spaces} manifest:version="1.2"><manifest:file-entry manifest:full-path="/" '
        'manifest:media-type="application/vnd.oasis.opendocument.text"/><manifest:file-entry '
        'manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    with zipfile.ZipFile(path, "w") as sink:
        sink.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        sink.writestr("content.xml", content)
        sink.writestr("META-INF/manifest.xml", manifest)


def _pictures(path: Path) -> int:
    with pikepdf.open(path) as document:
        return sum(
            1 for one in document.objects
            if isinstance(one, pikepdf.Stream) and one.get("/Subtype") == "/Image"
        )  # fmt: skip


def test_libreoffice(outside: Path, tmp_path: Path) -> None:
    """A linked picture and a linked section are not in the result."""
    converter = CONVERTERS["office-pdf"]
    _usable(converter)
    source = tmp_path / "linked.odt"
    _linked_text(source, outside)
    (one,) = converter.convert([source], tmp_path / "out")
    assert one.result is not None, one.problems
    assert _pictures(one.result) == 0
    assert _MARK.encode() not in one.result.read_bytes()


def test_libreoffice_unconfined_embeds_the_picture(
    outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: it is the confinement that keeps the picture out."""
    converter = CONVERTERS["office-pdf"]
    _usable(converter)
    monkeypatch.setattr(command_module, "confinement", lambda: ConfinementState("none", "open", ""))
    source = tmp_path / "linked.odt"
    _linked_text(source, outside)
    (one,) = converter.convert([source], tmp_path / "out")
    assert one.result is not None, one.problems
    assert _pictures(one.result) == 1


def test_ghostscript(outside: Path, tmp_path: Path) -> None:
    """A program that reads a file and prints it, called a PDF or run as it is: nothing of it comes back."""
    converter = CONVERTERS["pdf-pdfa"]
    _usable(converter)
    program = f"%!PS\n/s 99 string def ({outside}/secret.txt) (r) file s readstring pop == flush showpage\n"
    source = tmp_path / "a.pdf"
    source.write_text(program)
    (one,) = converter.convert([source], tmp_path / "out")
    assert one.result is None
    assert _MARK not in str(one)
    ran = run_tool(
        ["gs", "-dNOSAFER", "-dBATCH", "-dNOPAUSE", "-sDEVICE=nullpage", source], seconds=60, reads=[source]
    )
    assert _MARK not in ran.stdout.decode("utf-8", "replace") + ran.stderr


def test_libvips(outside: Path, tmp_path: Path) -> None:
    """A drawing that shows a picture outside: it is not in the result."""
    converter = CONVERTERS["image-jpeg"]
    _usable(converter)
    source = tmp_path / "a.svg"
    source.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="40" height="40">'
        f'<image width="40" height="40" xlink:href="file://{outside}/secret.png"/></svg>'
    )
    (one,) = converter.convert([source], tmp_path / "out")
    for made in (tmp_path / "out").iterdir():
        with Image.open(made) as image:
            red, green, _ = image.convert("RGB").getpixel((20, 20))  # type: ignore[misc]
        assert not (red > 150 and green < 100), one


def _usable(tool: Validator | object) -> None:
    asked: Callable[[], tool_module.ToolState] = tool.state  # type: ignore[attr-defined]
    state = asked()
    if not state.usable:
        unavailable(f"{state.name}: {state.problem}")
