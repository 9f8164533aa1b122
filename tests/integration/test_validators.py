"""The real tools on files made here: sound ones, broken ones, and whole ingests with and without tools."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from requirements import unavailable

from packages.package_file import FileFormat
from pipeline.archive import Archive
from pipeline.formats.builtin import Builtin
from pipeline.formats.exiftool import ExifTool
from pipeline.formats.ffmpeg import FfmpegDecode
from pipeline.formats.jhove import Jhove, module_for
from pipeline.formats.mediaconch import MediaConch
from pipeline.formats.tool import Validator, Validity
from pipeline.formats.validation import Validation
from pipeline.formats.verapdf import VeraPdf, flavour_for
from pipeline.ingest.run import ingest
from stele.wiring import shared_validation

_MKV = "fmt/569"


def _need(tool: Validator) -> None:
    state = tool.state()
    if not state.usable:
        unavailable(f"{state.name}: {state.problem}")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of FFV1 in Matroska, with checksums in its slices."""
    _need(FfmpegDecode())
    path = tmp_path_factory.mktemp("film") / "a.mkv"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=2", "-c:v", "ffv1",
         "-level", "3", "-g", "1", "-slices", "4", "-slicecrc", "1", path],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


def _spoilt(film: Path, folder: Path, at: float) -> Path:
    content = bytearray(film.read_bytes())
    content[int(len(content) * at)] ^= 0x40
    (folder / "spoilt.mkv").write_bytes(content)
    return folder / "spoilt.mkv"


def test_a_flipped_byte_in_a_film(film: Path, tmp_path: Path) -> None:
    """The decode test finds it though ffmpeg exits 0; MediaConch does not decode and lets it pass."""
    spoilt, tool = _spoilt(film, tmp_path, 0.5), FfmpegDecode()
    good, bad = tool.check([film, spoilt], _MKV)
    assert good.validity is Validity.WELL_FORMED
    assert bad.validity is Validity.NOT_VALID
    assert "CRC" in " ".join(bad.messages)
    conch = MediaConch()
    _need(conch)
    assert [v.validity for v in conch.check([film, spoilt], _MKV)] == [Validity.WELL_FORMED] * 2


def test_a_film_against_its_specification(film: Path, tmp_path: Path) -> None:
    """A header that says something else is found by MediaConch; noise is no verdict of a pass."""
    conch = MediaConch()
    _need(conch)
    content = film.read_bytes().replace(b"matroska", b"matruska", 1)
    (tmp_path / "other.mkv").write_bytes(content)
    (tmp_path / "noise.mkv").write_bytes(bytes(range(256)) * 50)
    for verdict in conch.check([tmp_path / "other.mkv", tmp_path / "noise.mkv"], _MKV):
        assert verdict.validity in (Validity.NOT_VALID, Validity.UNKNOWN), verdict


def _image(kind: str) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(out, kind)
    return out.getvalue()


def test_jhove(tmp_path: Path) -> None:
    """Sound TIFFs and broken ones in one batch, with names that no command line likes."""
    jhove = Jhove(_home("jhove"))
    _need(jhove)
    sound, cut, empty, noise = (tmp_path / name for name in ("-h ü.tif", "$(a) b.tif", "c.tif", "d.tif"))
    sound.write_bytes(_image("TIFF"))
    cut.write_bytes(_image("TIFF")[:900])
    empty.touch()
    noise.write_bytes(b"II*\0" + bytes(range(200)))
    verdicts = jhove.check([sound, cut, empty, noise], "TIFF-hul")
    assert verdicts[0].validity is Validity.VALID, verdicts[0]
    assert all(v.validity in (Validity.NOT_VALID, Validity.UNKNOWN) and v.messages for v in verdicts[1:])


def test_jhove_and_cut_aiff(tmp_path: Path) -> None:
    """AIFF-hul alone calls the half of a file valid."""
    jhove = Jhove(_home("jhove"))
    _need(jhove)
    sound = b"COMM" + (18).to_bytes(4, "big") + b"\0\1\0\0\x03\xe8\0\x08\x40\x0b\xfa" + bytes(7)
    sound += b"SSND" + (1008).to_bytes(4, "big") + bytes(8) + bytes(1000)
    whole = b"FORM" + (len(sound) + 4).to_bytes(4, "big") + b"AIFF" + sound
    (tmp_path / "a.aif").write_bytes(whole)
    (tmp_path / "b.aif").write_bytes(whole[:500])
    good, cut = jhove.check([tmp_path / "a.aif", tmp_path / "b.aif"], "AIFF-hul")
    assert good.validity is Validity.VALID, good
    assert cut.validity is Validity.NOT_VALID
    assert "cut short" in cut.messages[0]


def test_mediaconch_remembers_nothing(film: Path, tmp_path: Path) -> None:
    """Another film under the name of an earlier one gets a verdict of its own."""
    conch = MediaConch()
    _need(conch)
    place = tmp_path / "same.mkv"
    place.write_bytes(film.read_bytes())
    assert conch.check([place], _MKV)[0].validity is Validity.WELL_FORMED
    place.write_bytes(film.read_bytes().replace(b"matroska", b"matruska", 1))
    assert conch.check([place], _MKV)[0].validity is not Validity.WELL_FORMED


def test_verapdf(tmp_path: Path) -> None:
    """What is no PDF, or only says that it is PDF/A, is not."""
    verapdf = VeraPdf(_home("verapdf"))
    _need(verapdf)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")
    (tmp_path / "b").write_bytes(b"")
    for verdict in verapdf.check([tmp_path / "a.pdf", tmp_path / "b"], "1b"):
        assert verdict.validity is Validity.NOT_VALID
        assert verdict.messages


def _home(name: str) -> Path:
    return Path(__file__).parents[2] / ".tools" / name


def test_exiftool(tmp_path: Path) -> None:
    """It tells, and judges nothing; a broken file tells nothing."""
    tool = ExifTool()
    _need(tool)
    image = Image.new("RGB", (8, 8))
    exif = Image.Exif()
    exif[0x0110], exif[0x013B] = "Model 7", "A. Clerk"
    image.save(tmp_path / "ü a.jpg", exif=exif)
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff")
    told, silent = tool.check([tmp_path / "ü a.jpg", tmp_path / "b.jpg"], "metadata")
    assert told.facts["camera model"] == "Model 7"
    assert {told.validity, silent.validity} == {Validity.NOT_CHECKED}
    assert not silent.facts


def test_the_tables_agree() -> None:
    """Every module that formats are sent to has a class, and formats of PDF/A a flavour."""
    pdf = FileFormat("fmt/354", "PDF/A", "1b", "application/pdf", "", "")
    assert (module_for(pdf), flavour_for(pdf)) == ("PDF-hul", "1b")
    newer = FileFormat("fmt/1910", "PDF/A", "4", "application/pdf", "", "")
    assert (module_for(newer), flavour_for(newer)) == (None, "4")


def _sip(make_bag) -> Path:
    content = {
        "whole.tif": _image("TIFF"), "cut.tif": _image("TIFF")[:900], "a.xml": b'<?xml version="1.0"?><a>', "b.txt": "ü".encode(),
        "c.docx": b"PK\x03\x04 no office document",
    }  # fmt: skip
    return make_bag(content)


def test_a_report_the_agency_can_act_on(archive: Archive, agreement, make_bag) -> None:
    """Every not valid file by name and tool; stored, because the agreement only wants it reported."""
    result = ingest(_sip(make_bag), agreement, archive)
    assert result.outcome == "stored", result.reason
    bad = {p.path for p in result.problems if p.code in ("FMT-NOT-VALID", "FMT-NOT-CHECKED")}
    assert bad == {"data/cut.tif", "data/a.xml", "data/c.docx"}
    told = [e for e in archive.catalogue.events.of(str(result.aip)) if e.type == "validation"]
    assert {e.outcome for e in told} >= {"failure", "warning"}


@pytest.mark.parametrize(("wanted", "outcome"), [("review", "in-review"), ("refused", "rejected")])
def test_an_agreement_that_wants_more(
    wanted: str, outcome: str, archive: Archive, agreement, make_bag
) -> None:
    """Files that are not valid send to review or refuse the package, as agreed; nothing is stored."""
    formats = agreement.formats.model_copy(update={"not_valid": wanted})
    strict = agreement.model_copy(update={"formats": formats})
    assert ingest(_sip(make_bag), strict, archive).outcome == outcome
    assert not list(archive.catalogue.aips.all())


def test_a_machine_without_tools(
    archive: Archive, agreement, make_bag, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The ingest works; the receipt names each tool that was not there and how many files it missed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    shared_validation.cache_clear()
    bare = shared_validation(tmp_path)
    tools = replace(archive.tools, validation=bare)
    result = ingest(_sip(make_bag), agreement, replace(archive, tools=tools))
    shared_validation.cache_clear()
    bare.close()
    assert result.outcome == "stored", result.reason
    absent = {p.found.split(" (")[0]: p.expected for p in result.problems if p.code == "FMT-TOOL-ABSENT"}
    assert absent["JHOVE"] == "2 file(s)"
    assert "ExifTool" in absent
    assert "VIRUS-NOT-SCANNED" in {p.code for p in result.problems}


def test_checks_switched_off(archive: Archive, agreement, make_bag) -> None:
    """Nothing is checked, and the event says so."""
    off = replace(archive, tools=replace(archive.tools, validation=None))
    result = ingest(_sip(make_bag), agreement, off)
    assert result.outcome == "stored"
    assert "switched off" in " ".join(e.detail for e in archive.catalogue.events.of(str(result.aip)))


def test_a_policy_that_holds(archive: Archive, agreement, make_bag) -> None:
    """A CEB document waits for an archivist; the receipt says why."""
    sip = make_bag({"old.ceb": b"Founder CEB 3.0" + bytes(200)})
    result = ingest(sip, agreement, archive)
    assert result.outcome == "in-review"
    assert "CEB" in result.reason
    accepted = agreement.formats.model_copy(update={"accepted": ("local/ceb",)})
    agreed = agreement.model_copy(update={"formats": accepted})
    assert ingest(sip, agreed, archive).outcome == "stored"


def test_a_required_validator(archive: Archive, agreement, make_bag) -> None:
    """A database that cannot be read keeps nothing: held."""
    out = io.BytesIO()
    import zipfile

    with zipfile.ZipFile(out, "w") as siard:
        siard.writestr("header/metadata.xml", "<siardArchive/>")
        siard.writestr("header/siardversion/2.1/", "")
    sip = make_bag({"db.siard": out.getvalue()})
    assert ingest(sip, agreement, archive).outcome == "stored"
    broken = out.getvalue().replace(b"<siardArchive/>", b"<siardArchive>>")
    held = ingest(make_bag({"db.siard": broken}, name="broken"), agreement, archive)
    assert (held.outcome, "SIARD" in held.reason) == ("in-review", True)


def test_the_validation_of_nothing() -> None:
    """No files, no processes, no answers."""
    assert Validation(Builtin()).check([]) == []
