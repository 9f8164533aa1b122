"""E-ARK packages of our own making, whole and broken, as folders and in archives."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import packages.eark.dialect as dialect
from packages.eark.layout import Form, form_of, look_at
from packages.eark.line_endings import _pieces
from packages.mets import archivematica
from packages.mets.csip_writer import MetsHeader, PackageType, representation_header, root_mets
from packages.mets.csip_writer import representation_mets as written_representation
from packages.package_file import UNKNOWN_FORMAT, MetadataFile, PackageFile
from packages.problems.problem import Severity
from pipeline.agreement import Limits
from pipeline.checking.submission import check
from pipeline.context import Result
from pipeline.ingest.verify.eark_package import check_mets_file
from storage.states import Outcome

_WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_HEADER = MetsHeader("uuid-1", "Test", PackageType.AIP, _WHEN, "Stele", "0")
_TEXT = b"one\ntwo\n"
Check = Callable[[Path], Result]


def _put(root: Path, path: str, data: bytes, mime: str = "text/plain") -> MetadataFile:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return MetadataFile(path, len(data), hashlib.sha512(data).hexdigest(), mime)


def _reference(file: MetadataFile) -> Any:
    from packages.mets.csip_writer import Reference

    return Reference("dp", file, "PREMIS", "3.0")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of one representation that keeps every rule."""
    root = tmp_path / "uuid-1"
    rep = root / "representations" / "rep1"
    premis = _put(rep, "metadata/preservation/premis.xml", b"<premis/>", "application/xml")
    data = _put(rep, "data/a b%.txt", _TEXT)
    file = PackageFile("1", "a b%.txt", "a b%.txt", data.size, data.sha512, _WHEN, UNKNOWN_FORMAT)
    text = written_representation(
        header=representation_header(_HEADER, "rep1"), premis=_reference(premis), files=[file]
    )
    mets = _put(root, "representations/rep1/METS.xml", "".join(text).encode(), "application/xml")
    dmd = _put(root, "metadata/descriptive/dc.xml", b"<dc/>", "application/xml")
    preservation = _put(root, "metadata/preservation/premis.xml", b"<premis/>", "application/xml")
    whole = root_mets(
        header=_HEADER,
        descriptive=(replace(_reference(dmd), id="dmd", mdtype="DC", mdtype_version=""),),
        preservation=(_reference(preservation),),
        documentation=[_put(root, "documentation/read.me", b"read me")],
        schemas=[_put(root, "schemas/a.xsd", b"<schema/>", "application/xml")],
        representations=(mets,),
    )
    _put(root, "METS.xml", "".join(whole).encode())
    return root


@pytest.fixture
def run(archive: Any, agreement: Any) -> Check:
    """``stele check``."""
    return lambda subject: check(subject, agreement, archive)


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def _codes(result: Result) -> set[str]:
    return {problem.code for problem in result.problems}


def _pack(target: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(target, "w") as packed:
        for name, data in members:
            packed.writestr(name, data)
    return target


def _members(folder: Path, prefix: str) -> list[tuple[str, bytes]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(prefix + path.relative_to(folder).as_posix(), path.read_bytes()) for path in files]


def test_a_good_package_has_no_findings(package: Path, run: Check) -> None:
    """Percent-encoded names, two METS files, and nothing to report; files and bytes are counted."""
    result = run(package)
    assert (result.outcome, result.problems) == (Outcome.ACCEPTABLE, ())
    assert result.files == len([p for p in package.rglob("*") if p.is_file()])


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_the_same_verdict_packed(form: str, package: Path, run: Check, tmp_path: Path, home: Path) -> None:
    """In an archive too; and nothing stays in the work area."""
    packed = tmp_path / f"p.{form}"
    if form == "zip":
        _pack(packed, _members(package, "uuid-1/"))
    else:
        with tarfile.open(packed, "w:gz" if form == "tar.gz" else "w") as tar:
            tar.add(package, "uuid-1")
    result = run(packed)
    assert (result.outcome, result.problems) == (Outcome.ACCEPTABLE, ())
    assert not list(home.rglob("ingest-*"))


def test_a_bag_with_a_package_inside_is_a_bag(
    package: Path, run: Check, make_bag: Callable[..., Path], tmp_path: Path
) -> None:
    """Its payload may be what it likes: here the METS is no METS at all, and the bag is good."""
    (package / "METS.xml").write_text("nonsense")
    bag = make_bag(dict(_members(package, "uuid-1/")), name="bag")
    packed = _pack(tmp_path / "bag.zip", _members(bag, "bag/"))
    for subject in (bag, packed):
        layout = look_at(subject, Limits())
        assert layout is not None and form_of(layout) is Form.BAG
        assert run(subject).outcome is Outcome.ACCEPTABLE


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (["p/METS.xml"], Form.PACKAGE),
        (["METS.xml"], Form.PACKAGE),
        (["p/mets.xml", "p/representations/r/data/a"], Form.PACKAGE),
        (["p/METS.xml", "__MACOSX/x"], Form.PACKAGE),
        (["p/bagit.txt", "p/METS.xml"], Form.BAG),
        (["bagit.txt", "p/METS.xml"], Form.BAG),
        (["photos/a.jpg"], Form.NEITHER),
        (["p/q/METS.xml"], Form.NEITHER),
    ],
)
def test_the_form_of_archives(names: list[str], form: Form, tmp_path: Path) -> None:
    """Bag, package or neither, by the names at the top."""
    layout = look_at(_pack(tmp_path / "x.zip", [(name, b"") for name in names]), Limits())
    assert layout is not None and form_of(layout) is form


def test_neither_says_why_for_both(run: Check, tmp_path: Path) -> None:
    """What is neither a bag nor a package is told what it lacks to be either."""
    assert {"BAG-NOT-A-BAG", "CSIPSTR4"} <= _codes(run(_pack(tmp_path / "x.zip", [("a/b", b"")])))


def test_a_package_without_root_folder(package: Path, run: Check, tmp_path: Path) -> None:
    """CSIPSTR1, and everything else is judged all the same."""
    (package / "representations/rep1/data/a b%.txt").write_bytes(b"other")
    packed = _pack(tmp_path / "x.zip", _members(package, ""))
    assert {"CSIPSTR1", "CSIP71", "CSIP69"} <= _codes(run(packed))


def test_nothing_hostile_is_unpacked(package: Path, run: Check, tmp_path: Path) -> None:
    """The screening of submissions applies: an entry that climbs out stops everything."""
    members = [*_members(package, "uuid-1/"), ("uuid-1/../../evil", b"x")]
    result = run(_pack(tmp_path / "x.zip", members))
    assert _codes(result) == {"PATH-ESCAPE"}
    assert not list(tmp_path.parent.rglob("evil"))


def test_a_link_out_of_the_folder_is_refused(package: Path, run: Check) -> None:
    """Nothing outside the package is read."""
    (package / "documentation/link").symlink_to("/etc/passwd")
    assert _codes(run(package)) == {"PATH-LINK"}


@pytest.mark.parametrize(
    "href", ["../outside.txt", "/etc/passwd", "http://example.org/x", "file:///../../etc/passwd"]
)
def test_references_out_of_the_package(href: str, package: Path, run: Check) -> None:
    """They are reported, never followed."""
    _edit(package / "METS.xml", 'href="documentation/read.me"', f'href="{href}"')
    assert "CSIP79" in _codes(run(package))


def test_what_mets_says_is_compared(package: Path, run: Check) -> None:
    """A representation's METS too; the numbers are those of the reference's own section."""
    (package / "representations/rep1/data/a b%.txt").write_bytes(b"ONE\ntwo\n")
    (package / "metadata/descriptive/dc.xml").write_bytes(b"<DC/>")
    (package / "representations/rep1/metadata/preservation/premis.xml").unlink()
    (package / "documentation/more.txt").write_bytes(b"")
    result = run(package)
    assert _codes(result) == {"CSIP71", "CSIP29", "METS-FILE-MISSING", "CSIP58"}
    weights = {problem.code: problem.severity for problem in result.problems}
    assert weights["CSIP58"] is Severity.WARNING


def test_converted_lines_are_recognised(package: Path, run: Check) -> None:
    """What git does to text files is named, whichever way it went."""
    (package / "representations/rep1/data/a b%.txt").write_bytes(_TEXT.replace(b"\n", b"\r\n"))
    assert _codes(run(package)) == {"METS-LINE-ENDINGS"}


def test_no_line_end_is_torn() -> None:
    """Chunks that end between CR and LF are put together again."""
    pieces = list(_pieces(iter([b"a\r", b"\nb\r", b"\r", b"\n"])))
    assert b"".join(pieces) == b"a\r\nb\r\r\n"
    assert not [1 for a, b in pairwise(pieces) if a.endswith(b"\r") and b.startswith(b"\n")]


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("metadata", "CSIPSTR5"),
        ("metadata/preservation", "CSIPSTR6"),
        ("metadata/descriptive", "CSIPSTR7"),
        ("representations", "CSIPSTR9"),
        ("representations/rep1", "CSIPSTR10"),
        ("representations/rep1/data", "CSIPSTR11"),
        ("representations/rep1/metadata", "CSIPSTR13"),
        ("schemas", "CSIPSTR15"),
        ("documentation", "CSIPSTR16"),
    ],
)
def test_folders_that_should_be_there(folder: str, code: str, package: Path, run: Check) -> None:
    """Each is a warning under its number."""
    (package / folder).rename(package.parent / "elsewhere")
    found = [p for p in run(package).problems if p.code == code]
    assert [p.severity for p in found] == [Severity.WARNING]


def test_the_root_folder_is_named_by_the_identifier(package: Path, run: Check) -> None:
    """CSIPSTR2, a SHOULD."""
    assert _codes(run(package.rename(package.with_name("other")))) == {"CSIPSTR2"}


def _foreign(tmp_path: Path, number: int) -> Path:
    files = [
        PackageFile(f"0000{n}", f"{n}.txt", f"{n}.txt", 1, "0" * 128, _WHEN, UNKNOWN_FORMAT)
        for n in range(number)
    ]
    content = archivematica.write(
        objid="uuid-00000000-0000-4000-8000-000000000001",
        created=_WHEN,
        content=[("objects", "urn:uuid:1", files)],
        metadata=[],
        provenance=archivematica.Provenance((), (), ()),
    )
    target = tmp_path / "METS.xml"
    target.write_bytes(content)
    return target


def test_the_archivematica_dialect_is_read(tmp_path: Path) -> None:
    """One line of information instead of E-ARK rules that do not concern it."""
    (problem,) = check_mets_file(_foreign(tmp_path, 3))
    assert (problem.code, problem.severity) == ("METS-DIALECT", Severity.INFO)
    assert "3 original" in problem.found


_FOREIGN_MARKS = {
    "DSpace": 'PROFILE="DSpace METS SIP Profile 1.0" TYPE="DSpace ITEM"',
    "Rosetta": 'xmlns:dc="http://www.exlibrisgroup.com/xsd/dps/rosettaMets"',
    "Islandora": 'PROFILE="https://example.org/islandora-newspaper"',
    "a dialect of its own": 'PROFILE="Scientific Dataset Profile 1.0"',
}


@pytest.mark.parametrize("dialect", _FOREIGN_MARKS)
def test_another_dialect_is_named_and_not_judged(dialect: str, tmp_path: Path) -> None:
    """No rule of E-ARK is applied to a METS that does not claim to be E-ARK's."""
    path = tmp_path / "mets.xml"
    path.write_text(
        f'<mets xmlns="http://www.loc.gov/METS/" {_FOREIGN_MARKS[dialect]}><structMap TYPE="LOGICAL"><div/>'
        "</structMap></mets>"
    )
    (problem,) = check_mets_file(path)
    assert (problem.code, problem.severity, problem.expected) == ("METS-DIALECT", Severity.INFO, dialect)


def test_a_poor_claim_is_judged(package: Path, run: Check) -> None:
    """Who writes a CSIP structMap is judged by E-ARK's rules, whatever the profile says."""
    _edit(package / "METS.xml", "https://earkdip.dilcis.eu/profile/E-ARK-AIP-v2-2-0.xml", "Our Profile 3")
    assert {p.severity for p in run(package).problems if p.code == "CSIP6"} == {Severity.ERROR}


_ONE_LOCATION = '<mets:FLocat LOCTYPE="URL" xlink:type="simple" xlink:href="documentation/read.me"/>'
_BROKEN_RULES = [
    ("CSIP76", Severity.ERROR, _ONE_LOCATION, _ONE_LOCATION * 2),
    ("CSIP93", Severity.WARNING, '<mets:div ID="d-g-sch" LABEL="Schemas">', '<mets:div ID="x" LABEL="Documentation"/><mets:div ID="d-g-sch" LABEL="Schemas">'),
    ("CSIP91", Severity.WARNING, 'ADMID="dp"', 'ADMID="g-doc"'),
    ("CSIP92", Severity.WARNING, 'DMDID="dmd"', 'DMDID="g-doc"'),
    ("CSIP6", Severity.WARNING, "https://earkdip.dilcis.eu/profile/E-ARK-AIP-v2-2-0.xml", "https://example.org/p"),
    ("CSIP96", Severity.ERROR, 'FILEID="g-doc"', 'FILEID="g-sch"'),
]  # fmt: skip


@pytest.mark.parametrize(("code", "severity", "old", "new"), _BROKEN_RULES)
def test_broken_rules(code: str, severity: Severity, old: str, new: str, package: Path, run: Check) -> None:
    """What occurs once too often, is not listed, or points astray, in any version where that is a MUST."""
    _edit(package / "METS.xml", old, new)
    assert {p.severity for p in run(package).problems if p.code == code} == {severity}


def test_the_identifier_of_a_representation_is_its_folder(package: Path, run: Check) -> None:
    """CSIP1 with CSIPSTR10: a warning where the two differ."""
    _edit(package / "representations/rep1/METS.xml", 'OBJID="rep1"', 'OBJID="other"')
    found = [p for p in run(package).problems if p.code == "CSIP1"]
    assert [(p.severity, p.path) for p in found] == [(Severity.WARNING, "representations/rep1/METS.xml")]


def test_metsrw_is_not_asked_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a number of files it is only said how many there are."""
    monkeypatch.setattr(dialect, "_READ_UP_TO", 2)
    monkeypatch.setattr(dialect, "read", lambda _: pytest.fail("metsrw was asked"))
    (problem,) = check_mets_file(_foreign(tmp_path, 3))
    assert (problem.code, problem.severity) == ("METS-DIALECT", Severity.INFO)


def test_a_dialect_metsrw_cannot_read(tmp_path: Path) -> None:
    """An error with what metsrw said."""
    mets = _foreign(tmp_path, 1)
    _edit(mets, 'TYPE="Item"', 'TYPE="Nonsense"')
    _edit(mets, "<mets:fptr", '<mets:fptr CONTENTIDS="x"')
    mets.write_text(mets.read_text().replace('FILEID="file-00000"', 'FILEID="amdSec_1"'))
    assert "METS-UNREADABLE" in {p.code for p in check_mets_file(mets)}


def test_entities_hide_in_no_encoding(tmp_path: Path) -> None:
    """A DOCTYPE in UTF-16 is found; entities that would fill the memory, in an attribute, do not."""
    doctype = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE m [<!ENTITY e0 "0123456789">'
    mets = tmp_path / "METS.xml"
    mets.write_bytes(f"{doctype}]><m/>".encode("utf-16"))
    assert [p.code for p in check_mets_file(mets)] == ["XML-ENTITY"]
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 9))
    mets.write_bytes(f'{doctype}{entities}]><m><n a="&e8;"/></m>'.encode("utf-16"))
    assert [p.code for p in check_mets_file(mets)] == ["XML-NOT-WELL-FORMED"]


@pytest.mark.parametrize("alone", [False, True], ids=["in its package", "alone"])
@pytest.mark.parametrize("mebibytes", [64, 72])
def test_mets_of_any_size_costs_what_is_allowed(
    mebibytes: int, alone: bool, package: Path, archive: Any, agreement: Any
) -> None:
    """It is read in a process of its own, which ends when it takes more, and is blamed for nothing else."""
    mets = package / "representations" / "rep1" / "METS.xml"
    text = mets.read_text()
    start, end = text.index("<mets:file ID="), text.index("</mets:file>") + len("</mets:file>")
    one = text[start:end]
    with mets.open("w") as out:
        out.write(text[:start])
        for number in range(120_000):
            out.write(one.replace("file-1", f"f{number}").replace("a%20b", f"a{number}"))
        out.write(text[end:].replace("file-1", "f0"))
    short = agreement.model_copy(update={"limits": Limits(max_memory=mebibytes << 20)})
    result = check(mets if alone else package, short, archive)
    assert result.outcome is Outcome.REJECTED, result.reason
    assert "ARC-BUDGET" in _codes(result)
    assert "XML-NOT-WELL-FORMED" not in _codes(result)
    expected = next(p.expected for p in result.problems if p.code == "ARC-BUDGET")
    assert expected == f"{mebibytes} MiB of memory"


_STARVED = """
import io, resource
from pathlib import Path
from packages.mets.csip_reader import read_mets
from packages.premis.reader import read_premis
from pipeline.formats.checks import xml_document
from schemas.xml import parse

path = Path({path!r})
content = path.read_bytes()
for name, read in {{
    "parse": lambda: parse(content), "METS": lambda: read_mets(io.BytesIO(content), "m"),
    "PREMIS": lambda: read_premis(io.BytesIO(content), "p"), "check": lambda: xml_document.check(str(path)),
}}.items():
    now = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (now + (1 << 20), resource.RLIM_INFINITY))
    try:
        said = repr(read())
    except MemoryError:
        said = "out of memory"
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(name, said[:80])
"""


def test_no_document_is_blamed_for_memory(tmp_path: Path) -> None:
    """libxml2 calls it an error of the document when it gets no memory."""
    place = tmp_path / "large.xml"
    place.write_text("<a>" + "".join(f'<b c="{n}">text {n}</b>' for n in range(200_000)) + "</a>")
    done = subprocess.run(
        [sys.executable, "-c", _STARVED.format(path=str(place))], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2], timeout=60,
    )  # fmt: skip
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert [said[name] for name in ("parse", "METS", "PREMIS")] == ["out of memory"] * 3
    assert "NOT_VALID" not in said["check"]  # it may do with what there is


def test_an_unreadable_archive_is_a_finding(run: Check, tmp_path: Path) -> None:
    """Judged like any submission."""
    broken = tmp_path / "x.zip"
    broken.write_bytes(b"PK\3\4" + b"\0" * 40)
    assert run(broken).outcome is Outcome.REJECTED
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        info = tarfile.TarInfo("p/METS.xml")
        info.size = 100_000
        tar.addfile(info, io.BytesIO(bytes(range(256)) * 400))
    cut = tmp_path / "x.tar.gz"
    cut.write_bytes(stream.getvalue()[:-40])
    assert "ARC-CORRUPT" in _codes(run(cut))
