"""The checks that come with Stele: sound files pass, broken ones of every kind do not, none does harm."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

import pipeline.formats.builtin as module
from pipeline.formats.builtin import Builtin
from pipeline.formats.kinds import Kind
from pipeline.formats.tool import ValidationResult, Validity

_FAKE = """
import json, os, sys, time
for line in sys.stdin:
    jobs = json.loads(line)
    if any("crash" in path for path, _ in jobs):
        os.abort()
    if any("hang" in path for path, _ in jobs):
        time.sleep(60)
    if any("short" in path for path, _ in jobs):
        jobs = jobs[:-1]
    print(json.dumps([["valid", "T", [], {}] for _ in jobs]), flush=True)
"""


@pytest.fixture(scope="module")
def builtin() -> Iterator[Builtin]:
    """The real one."""
    made = Builtin()
    yield made
    made.close()


def _pdf(pages: int = 3) -> bytes:
    document, out = pikepdf.new(), io.BytesIO()
    for _ in range(pages):
        document.add_blank_page()
    document.save(out)
    return out.getvalue()


def _image(kind: str) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((64, 48), 90).convert("RGB").save(out, kind)
    return out.getvalue()


def _zip(**members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_1", "."), content)
    return out.getvalue()


_REL = '<R xmlns="x"><Relationship Type="a/officeDocument" Target="word/document.xml"/></R>'
_OFD = '<OFD xmlns="o"><DocBody><DocRoot>Doc_0/Document.xml</DocRoot></DocBody></OFD>'
_DOC = '<Document xmlns="o"><Pages><Page BaseLoc="Pages/Page_0/Content.xml"/></Pages></Document>'
_SIARD = (
    '<siardArchive xmlns="s" version="2.2"><schemas><schema><folder>schema0</folder><tables><table>'
    "<name>t</name><folder>table0</folder><rows>1</rows></table></tables></schema></schemas></siardArchive>"
)


def _odf() -> bytes:
    return _zip(mimetype="application/vnd.oasis.opendocument.text", **{
        "META-INF/manifest.xml": "<m/>", "content.xml": "<c/>"})  # fmt: skip


def _opc() -> bytes:
    return _zip(**{"[Content_Types].xml": "<T/>", "_rels/.rels": _REL, "word/document.xml": "<d/>"})


def _ofd() -> bytes:
    page = {"Doc_0/Document.xml": _DOC, "Doc_0/Pages/Page_0/Content.xml": "<p/>"}
    return _zip(**{"OFD.xml": _OFD, **page})


def _siard() -> bytes:
    return _zip(**{"header/metadata.xml": _SIARD, "content/schema0/table0/table0.xml": "<t/>"})


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("a")
        member.size = 3000
        archive.addfile(member, io.BytesIO(bytes(3000)))
    return out.getvalue()


_SOUND = {
    Kind.PDF: _pdf, Kind.IMAGE: lambda: _image("PNG"), Kind.XML: lambda: b"<a><b/></a>",
    Kind.ZIP: lambda: _zip(a="x" * 500), Kind.OPC: _opc, Kind.ODF: _odf, Kind.OFD: _ofd,
    Kind.SIARD: _siard, Kind.GZIP: lambda: gzip.compress(b"x" * 500), Kind.TAR: _tar,
    Kind.EPUB: lambda: _zip(mimetype="application/epub+zip", **{
        "META-INF/container.xml": '<c><rootfile full-path="p.opf"/></c>', "p.opf": "<p/>"}),
    Kind.JP2: lambda: _image("JPEG2000"),
}  # fmt: skip


def _judge(builtin: Builtin, folder: Path, content: bytes, kind: Kind) -> ValidationResult:
    place = folder / "file"
    place.write_bytes(content)
    return builtin.check([place], kind)[0]


@pytest.mark.parametrize("kind", list(_SOUND))
def test_sound_and_cut_short(kind: Kind, builtin: Builtin, tmp_path: Path) -> None:
    """A whole file passes; the same cut at the half does not, and it is said why and by whom."""
    content = _SOUND[kind]()
    whole = _judge(builtin, tmp_path, content, kind)
    assert whole.validity in (Validity.VALID, Validity.WELL_FORMED), whole
    half = 2000 if kind is Kind.TAR else len(content) // 2  # much of a tar is filling
    cut = _judge(builtin, tmp_path, content[:half], kind)
    assert cut.validity in (Validity.NOT_VALID, Validity.UNKNOWN), cut
    assert cut.messages
    assert cut.tool


@pytest.mark.parametrize("kind", list(_SOUND))
def test_empty_and_noise(kind: Kind, builtin: Builtin, tmp_path: Path) -> None:
    """Nothing and nonsense are never sound."""
    for content in (b"", b"\0" * 700, bytes(range(256)) * 20):
        verdict = _judge(builtin, tmp_path, content, kind)
        assert verdict.validity in (Validity.NOT_VALID, Validity.UNKNOWN), (kind, verdict)


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        (Kind.OPC, _zip(**{"[Content_Types].xml": "<T/>", "_rels/.rels": _REL}), "document.xml is missing"),
        (Kind.ODF, _zip(**{"content.xml": "<c/>"}), "mimetype is missing"),
        (Kind.ODF, _zip(mimetype="x", **{"META-INF/manifest.xml": "<m/>", "content.xml": "<c>"}), "well-formed"),
        (Kind.OFD, _zip(**{"OFD.xml": _OFD, "Doc_0/Document.xml": _DOC}), "Content.xml, which is missing"),
        (Kind.SIARD, _zip(**{"header/metadata.xml": _SIARD}), "table0.xml is missing"),
        (Kind.XML, b"<a><b></a>", "mismatch"),
        (Kind.XML, b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", ""),
        (Kind.XML, b'<mets xmlns="http://www.loc.gov/METS/"><nonsense/></mets>', "nonsense"),
    ],
)  # fmt: skip
def test_what_must_be_there(
    kind: Kind, content: bytes, said: str, builtin: Builtin, tmp_path: Path
) -> None:
    """Sound ZIPs that are not what they claim."""
    verdict = _judge(builtin, tmp_path, content, kind)
    if said:
        assert verdict.validity is Validity.NOT_VALID
        assert said in " ".join(verdict.messages)
    else:
        assert "root:" not in str(verdict), "nothing is fetched"


def test_xml_with_something_before_its_root(builtin: Builtin, tmp_path: Path) -> None:
    """Comments and instructions around the root, and ten thousand elements in it."""
    body = b"<b/><!-- c -->" * 10_000
    content = b"<?xml version='1.0'?><!-- a --><?p q?><a>" + body + b"</a><!-- d -->"
    assert _judge(builtin, tmp_path, content, Kind.XML).validity is Validity.WELL_FORMED


_TEN_MB = b"x" * (11 << 20)
_LARGE_XML = {
    "a scan in Base64": (b"<a>" + _TEN_MB + b"</a>", Validity.WELL_FORMED),
    "an attribute": (b'<a b="' + _TEN_MB + b'"/>', Validity.WELL_FORMED),
    "a comment": (b"<a><!--" + _TEN_MB + b"--></a>", Validity.WELL_FORMED),
    "CDATA": (b"<a><![CDATA[" + _TEN_MB + b"]]></a>", Validity.WELL_FORMED),
    "300 levels": (b"<a>" * 300 + b"</a>" * 300, Validity.WELL_FORMED),
    "3,000 levels": (b"<a>" * 3000 + b"</a>" * 3000, Validity.UNKNOWN),
    "with a DOCTYPE": (b"<!DOCTYPE a><a>" + _TEN_MB + b"</a>", Validity.UNKNOWN),
    "300 levels, not closed": (b"<a>" * 300, Validity.NOT_VALID),
    "a comment, not closed": (b"<a><!--" + _TEN_MB, Validity.NOT_VALID),
}


@pytest.mark.parametrize("name", _LARGE_XML)
def test_limits_of_the_reader_are_no_faults_of_xml(name: str, builtin: Builtin, tmp_path: Path) -> None:
    """libxml2 stops at 10 MB of text and 256 levels unless it is asked not to."""
    content, validity = _LARGE_XML[name]
    (tmp_path / "a.xml").write_bytes(content)
    (found,) = builtin.check([tmp_path / "a.xml"], Kind.XML)
    assert found.validity is validity, found.messages


def test_a_pdf_is_not_blamed_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """qpdf tells it as one more complaint about the document."""
    from pipeline.formats.checks import pdf

    place = tmp_path / "a.pdf"
    document = pikepdf.new()
    document.add_blank_page()
    document.save(place)
    said = ["page object 3 0 stream 4 0: std::bad_alloc"]
    monkeypatch.setattr(pdf.pikepdf.Pdf, "check_pdf_syntax", lambda _: said)
    with pytest.raises(MemoryError):
        pdf.check(str(place))


def test_a_flipped_byte_in_a_member(builtin: Builtin, tmp_path: Path) -> None:
    """The checksums of members are compared, not only the directory."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a", b"x" * 1000)
    content = bytearray(out.getvalue())
    content[500] ^= 1
    assert _judge(builtin, tmp_path, bytes(content), Kind.ZIP).validity is Validity.NOT_VALID


def test_facts(builtin: Builtin, tmp_path: Path) -> None:
    """Pages, dimensions and the like come with the verdict."""
    assert _judge(builtin, tmp_path, _pdf(7), Kind.PDF).facts["pages"] == "7"
    facts = _judge(builtin, tmp_path, _image("PNG"), Kind.IMAGE).facts
    assert (facts["width"], facts["height"]) == ("64", "48")
    assert _judge(builtin, tmp_path, _siard(), Kind.SIARD).facts["rows"] == "1"


def _written_pdf(page: bytes, catalog: bytes = b"", *more: bytes) -> bytes:
    """A PDF by hand, of one page whose dictionary ends in ``page``; objects from 5 on are ``more``."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog, b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]%s>>" % page, b"<</Length 0>>stream\n\nendstream", *more,
    ]  # fmt: skip
    out, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(out))
    return out + head + table + end


@pytest.mark.parametrize(
    ("page", "catalog"),
    [
        (
            b"/Resources<</Font<</F 77 0 R>>>>/Contents 4 0 R/Annots[78 0 R]",
            b"/Outlines 79 0 R/Names 80 0 R",
        ),
        (b"/Resources<<>>/Contents[4 0 R 81 0 R]", b""),
        (b"/Resources 82 0 R/Contents 83 0 R", b"/AcroForm 84 0 R"),
    ],
)
def test_a_reference_to_nothing_is_null(
    page: bytes, catalog: bytes, builtin: Builtin, tmp_path: Path
) -> None:
    """ISO 32000-1 7.3.10: it shall not be considered an error."""
    verdict = _judge(builtin, tmp_path, _written_pdf(page, catalog), Kind.PDF)
    assert (verdict.validity, verdict.messages) == (Validity.WELL_FORMED, ())


def test_what_is_no_stream_among_contents_is_an_error(builtin: Builtin, tmp_path: Path) -> None:
    """Null may stand there, a number may not."""
    verdict = _judge(builtin, tmp_path, _written_pdf(b"/Resources<<>>/Contents[4 0 R 7]"), Kind.PDF)
    assert verdict.validity is Validity.NOT_VALID


_FILE_IN_IT = b"<</Type/Filespec/F(a.xml)/EF<</F 6 0 R>>>>", b"<</Length 1>>stream\na\nendstream"


@pytest.mark.parametrize(
    ("content", "risk"),
    [
        (_written_pdf(b"/Resources<<>>", b"/AF[5 0 R]", *_FILE_IN_IT), "embedded files"),
        (_written_pdf(b"/Resources<<>>/Annots[<</Subtype/FileAttachment/FS 5 0 R/Rect[0 0 1 1]>>]", b"", *_FILE_IN_IT), "embedded files"),
        (_written_pdf(b"/Resources<<>>/Annots[5 0 R]", b"", b"<</Type/Annot/Subtype/RichMedia/Rect[0 0 1 1]>>"), "sound, film or 3D"),
        (_written_pdf(b"/Resources<<>>/Annots[5 0 R]", b"", b"<</Type/Annot/Subtype/Screen/Rect[0 0 1 1]>>"), "sound, film or 3D"),
        (_written_pdf(b"/Resources<<>>/Contents 5 0 R", b"", b"<</Length 0/F(else.bin)>>stream\n\nendstream"), "content in other files"),
    ],
)  # fmt: skip
def test_what_a_pdf_carries_is_told(content: bytes, risk: str, builtin: Builtin, tmp_path: Path) -> None:
    """Files inside it, with or without a type, media, and content that is not in it at all."""
    assert f"risk: {risk}" in _judge(builtin, tmp_path, content, Kind.PDF).messages


def test_a_bomb_of_pixels(builtin: Builtin, tmp_path: Path) -> None:
    """An image that claims 60,000 by 60,000 is not decoded."""
    content = bytearray(_image("PNG"))
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    verdict = _judge(builtin, tmp_path, bytes(content), Kind.IMAGE)
    assert verdict.validity is Validity.UNKNOWN
    assert "too large" in verdict.messages[0]


@pytest.mark.parametrize("evil", ["crash", "hang", "short"])
def test_a_file_that_breaks_the_check(evil: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone has no verdict; its neighbours have theirs."""
    (tmp_path / "posing_as_checks.py").write_text(_FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(module, "_MODULE", "posing_as_checks")
    paths = [tmp_path / f"file-{number}" for number in range(5)]
    paths[3] = tmp_path / evil
    for path in paths:
        path.touch()
    made = Builtin(timeout_s=1.0)
    verdicts = made.check(paths, Kind.PDF)
    made.close()
    assert [verdict.validity for verdict in verdicts] == [*["valid"] * 3, "unknown", "valid"]
    assert "gave up" in verdicts[3].messages[0]
