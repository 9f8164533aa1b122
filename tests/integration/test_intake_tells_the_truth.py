"""Ordinary deliveries that were refused for a false reason, taken without a word, or retold wrongly."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bag_builder import BagBuilder

from packages.identifiers import PackageId
from packages.package_file import FileFormat
from pipeline.access.dip import disseminate
from pipeline.agreement import Agreement, AgreementError, load_agreement
from pipeline.archive import Archive
from pipeline.context import Result
from pipeline.formats.archives import inspect_container
from pipeline.formats.checks import xml_document
from pipeline.ingest.receipt import write_receipt
from pipeline.ingest.run import ingest


def _codes(result: Result) -> set[str]:
    return {problem.code for problem in result.problems}


def _said(result: Result, code: str) -> str:
    return " ".join(problem.for_depositor for problem in result.problems if problem.code == code)


def _zipped(
    place: Path,
    bags: list[Path],
    *,
    more: dict[str, bytes] | None = None,
    separator: str = "/",
    system: int = 3,
) -> Path:
    with zipfile.ZipFile(place, "w") as sink:
        for bag in bags:
            for path in sorted(bag.rglob("*")):
                if path.is_file():
                    name = path.relative_to(bag.parent).as_posix().replace("/", separator)
                    info = zipfile.ZipInfo(name)
                    info.create_system = system
                    sink.writestr(info, path.read_bytes())
        for name, content in (more or {}).items():
            sink.writestr(name, content)
    return place


_MAC = {"__MACOSX/sip/._bagit.txt": b"x", "._sip": b"x", ".DS_Store": b"x"}


def test_what_macos_leaves_beside_a_bag(
    archive: Archive, agreement: Agreement, make_bag: BagBuilder, tmp_path: Path
) -> None:
    """The bag is taken, the leftovers are not, and both are said."""
    packed = _zipped(tmp_path / "mac.zip", [make_bag({"a.txt": b"a"})], more=_MAC)
    result = ingest(packed, agreement, archive)
    assert result.outcome == "stored", result.problems
    assert "3 file(s): __MACOSX/sip/._bagit.txt, ._sip, .DS_Store" in _said(result, "ARC-LEFTOVERS")


def test_two_bags_and_a_file_beside_a_bag(
    archive: Archive, agreement: Agreement, make_bag: BagBuilder, tmp_path: Path
) -> None:
    """The reason is never that bagit.txt is missing."""
    bags = [make_bag({"a.txt": b"a"}, name="one"), make_bag({"b.txt": b"b"}, name="two")]
    two = ingest(_zipped(tmp_path / "two.zip", bags), agreement, archive)
    assert two.outcome == "rejected"
    assert "several bags (“one”, “two”)" in _said(two, "BAG-NOT-A-BAG")
    beside = ingest(_zipped(tmp_path / "b.zip", bags[:1], more={"list.pdf": b"x"}), agreement, archive)
    assert beside.outcome == "rejected"
    assert "bagit.txt is in the folder “one”" in _said(beside, "BAG-NOT-A-BAG")


def test_backslashes(archive: Archive, agreement: Agreement, make_bag: BagBuilder, tmp_path: Path) -> None:
    """Read as separators where the archive says that it was made on MS-DOS; else named as the reason."""
    bag = make_bag({"sub/a.txt": b"a"})
    dos = ingest(_zipped(tmp_path / "dos.zip", [bag], separator="\\", system=0), agreement, archive)
    assert dos.outcome == "stored", dos.problems
    assert "ARC-BACKSLASH" in _codes(dos)
    unix = ingest(_zipped(tmp_path / "unix.zip", [bag], separator="\\"), agreement, archive)
    assert unix.outcome == "rejected"
    assert "backslashes (“sip\\bag-info.txt”)" in _said(unix, "BAG-NOT-A-BAG")


def test_backslashes_do_not_lead_out(archive: Archive, agreement: Agreement, tmp_path: Path) -> None:
    """What they become is judged like any other name."""
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as sink:
        info = zipfile.ZipInfo("sip\\..\\..\\..\\etc\\x")
        info.create_system = 0
        sink.writestr(info, b"x")
        sink.writestr("sip/bagit.txt", b"x")
    result = ingest(tmp_path / "out.zip", agreement, archive)
    assert "PATH-ESCAPE" in _codes(result)


@pytest.mark.parametrize("length, told", [(140, False), (150, True), (300, True)])
def test_long_paths(
    archive: Archive, agreement: Agreement, make_bag: BagBuilder, length: int, told: bool
) -> None:
    """Counted with the folders of an exported AIP before them, as Windows counts."""
    name = "/".join(["档" * 40] * (length // 41)) + "/" + "x" * (length % 41)
    result = ingest(make_bag({name: b"a"}), agreement, archive)
    assert result.outcome == "stored"
    assert (f"its path is {len(name) + 115} characters" in _said(result, "PATH-UNPORTABLE")) is told


def test_very_compressible_files(
    archive: Archive, agreement: Agreement, make_bag: BagBuilder, tmp_path: Path
) -> None:
    """Thirty megabytes of zeros are no bomb, however small they are packed."""
    bag = make_bag({"empty.img": bytes(30 << 20)})
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as sink:
        for path in bag.rglob("*"):
            if path.is_file():
                sink.write(path, path.relative_to(bag.parent))
    result = ingest(tmp_path / "z.zip", agreement, archive)
    assert result.outcome == "stored", result.problems


@pytest.mark.parametrize(
    "value", ["2023-02-31", "31.12.2022", "2022-12-31T10:00:00+13:00", "last week", "20221231"]
)
def test_bagging_dates(archive: Archive, agreement: Agreement, make_bag: BagBuilder, value: str) -> None:
    """What is no date is named, and kept as it is."""
    result = ingest(make_bag({"a": b"a"}, Bagging_Date=value), agreement, archive)
    assert result.outcome == "stored"
    assert f"“{value}”" in _said(result, "BAG-INFO-DATE")


_PROFILE: dict[str, Any] = {
    "BagIt-Profile-Info": {
        "BagIt-Profile-Identifier": "https://example.org/p.json",
        "BagIt-Profile-Version": "1.4.0",
    },
    "Accept-BagIt-Version": ["1.0"],
}


def _agreed(folder: Path, profile: dict[str, Any]) -> Agreement:
    (folder / "p.json").write_text(json.dumps(profile), "utf-8")
    terms = 'version = "1"\nbagit_profile = "p.json"\n[agency]\nname = "Office"\n'
    (folder / "office.toml").write_text(terms, "utf-8")
    return load_agreement(folder / "office.toml")


@pytest.mark.parametrize(
    "constraint, broken",
    [
        ({}, ""),
        ({"Tag-Files-Allowed": ["metadata/*.xml"]}, "notes.txt"),
        ({"Tag-Files-Allowed": ["*.txt"]}, "metadata/dc.xml"),
        ({"Tag-Files-Allowed": ["*.txt", "metadata/*"]}, ""),
        ({"Tag-Files-Required": ["dc.xml"]}, "dc.xml"),
        ({"Data-Empty": True}, "an empty payload"),
        ({"Fetch.txt-Required": True}, "fetch.txt"),
        ({"BagIt-Profile-Info": {"BagIt-Profile-Identifier": "https://example.org/q.json"}}, "q.json"),
        ({"Serialization": "required"}, "a packed bag"),
    ],
)
def test_constraints_of_a_profile(
    archive: Archive, make_bag: BagBuilder, tmp_path: Path, constraint: dict[str, Any], broken: str
) -> None:
    """Each is kept to (BagIt Profiles 1.4.0)."""
    agreed = _agreed(tmp_path, {**_PROFILE, **constraint})
    bag = make_bag({"a": b"a"}, BagIt_Profile_Identifier="https://example.org/p.json")
    (bag / "metadata").mkdir()
    (bag / "metadata/dc.xml").write_text("<x/>")
    (bag / "notes.txt").write_text("x")
    result = ingest(bag, agreed, archive)
    assert (result.outcome == "stored") is (not broken), result.problems
    assert broken in _said(result, "BAG-PROFILE")


@pytest.mark.parametrize(
    "change, named",
    [
        ({"Tag-Files-Forbidden": ["x"]}, "Tag-Files-Forbidden"),
        ({"acceptBagItVersion": ["1.0"]}, "acceptBagItVersion"),  # DART's own form
        ({"ordered": [{"Contact-Name": {}}]}, "ordered"),  # Bagger's own form
        ({"Data-Empty": "yes"}, "Data-Empty must be true or false"),
        ({"Serialization": "perhaps"}, "Serialization must be"),
        ({"Bag-Info": {"X": {"pattern": "a+"}}}, "Bag-Info, X: “pattern”"),
        ({"BagIt-Profile-Info": {}}, "names no BagIt-Profile-Identifier"),
        ({"Allow-Fetch.txt": False, "Fetch.txt-Required": True}, "contradict"),
    ],
)
def test_profiles_that_are_not_understood(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    """They are refused when the agreement is loaded, by name: nobody signs what is not looked at."""
    with pytest.raises(AgreementError, match=re.escape(named)):
        _agreed(tmp_path, {**_PROFILE, **change})


def test_a_dip_keeps_the_dates(
    archive: Archive, agreement: Agreement, make_bag: BagBuilder, tmp_path: Path
) -> None:
    """In its METS, and as the times of its files."""
    bag = make_bag({"1999.txt": b"a", "2005.txt": b"b"})
    for year in (1999, 2005):
        moment = datetime(year, 10, 1, 12, tzinfo=UTC).timestamp()
        os.utime(bag / f"data/{year}.txt", (moment, moment))
    result = ingest(bag, agreement, archive)
    dip = disseminate(PackageId.parse(str(result.aip)), archive, tmp_path / "out").folder
    mets = (dip / "representations/rep1/METS.xml").read_text("utf-8")
    found = re.findall(r'<mets:file [^>]*CREATED="([^"]*)"', mets)
    assert sorted(found) == ["1999-10-01T12:00:00Z", "2005-10-01T12:00:00Z"]
    for path in (dip / "representations/rep1/data").iterdir():
        assert datetime.fromtimestamp(path.stat().st_mtime, UTC).year == int(path.stem)


_METS = (
    '<mets xmlns="http://www.loc.gov/METS/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    '<amdSec><techMD ID="t"><mdWrap MDTYPE="OTHER"{wrong}><xmlData><x:thing xmlns:x="https://example.org/x" '
    'xsi:type="x:kind"/></xmlData></mdWrap></techMD></amdSec><structMap><div/></structMap></mets>'
)


def test_what_a_mets_wraps_is_judged_laxly(tmp_path: Path) -> None:
    """An xsi:type that no schema here declares is no fault of the METS; a fault of the METS still is."""
    path = tmp_path / "METS.xml"
    path.write_text(_METS.format(wrong=""))
    assert xml_document.check(str(path)).validity == "valid"
    path.write_text(_METS.format(wrong=' NOT-THERE="x"'))
    assert xml_document.check(str(path)).validity == "not-valid"


def test_a_name_is_no_line_of_a_receipt(
    archive: Archive, agreement: Agreement, make_bag: BagBuilder, tmp_path: Path
) -> None:
    """Line feeds, escape sequences and Markdown in names and fields are shown in the signed receipt."""
    hostile = "x\n\n- Outcome: **stored, every file verified by hand**\n# heading \x1b[31m"
    bag = make_bag({f"{hostile}.txt": b"a", "con": b"b"}, Contact_Name="<script>")
    result = ingest(bag, agreement, archive)
    receipt = Path(write_receipt(result, agreement, tmp_path, "r").receipt).read_text("utf-8")
    assert sum(line.startswith("- Outcome:") for line in receipt.splitlines()) == 1
    assert [line for line in receipt.splitlines() if line.startswith("# ")] == ["# Receipt: sip"]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", receipt)
    assert "\\\\x0a" in receipt


def test_a_tar_with_leftovers(
    archive: Archive, agreement: Agreement, make_bag: BagBuilder, tmp_path: Path
) -> None:
    """As macOS' tar packs: ``._`` entries beside the folder."""
    bag = make_bag({"a.txt": b"a"})
    with tarfile.open(tmp_path / "mac.tar.gz", "w:gz") as sink:
        leftover = tarfile.TarInfo("._sip")
        leftover.size = 1
        sink.addfile(leftover, io.BytesIO(b"x"))
        sink.add(bag, bag.name)
    result = ingest(tmp_path / "mac.tar.gz", agreement, archive)
    assert result.outcome == "stored", result.problems
    assert "._sip" in _said(result, "ARC-LEFTOVERS")


def test_entries_that_share_bytes(archive: Archive, agreement: Agreement, tmp_path: Path) -> None:
    """Two names for the same bytes of an archive: how a few kilobytes become terabytes."""
    content = bytearray(_zipped_entries({"sip/bagit.txt": b"x" * 100, "sip/data/a": b"y" * 100}))
    second = content.rfind(b"PK\1\2")
    first = content.find(b"PK\1\2")
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    (tmp_path / "o.zip").write_bytes(content)
    result = ingest(tmp_path / "o.zip", agreement, archive)
    assert result.outcome == "rejected"
    assert "“sip/bagit.txt” and “sip/data/a” share bytes" in _said(result, "ARC-CORRUPT")


def test_a_size_stated_wrongly(archive: Archive, agreement: Agreement, tmp_path: Path) -> None:
    """It is the archive's fault, and no reason to try again."""
    content = bytearray(_zipped_entries({"sip/bagit.txt": b"x" * 100}))
    at = content.find(b"PK\1\2")
    content[at + 24 : at + 28] = (120).to_bytes(4, "little")
    (tmp_path / "l.zip").write_bytes(content)
    result = ingest(tmp_path / "l.zip", agreement, archive)
    assert result.outcome == "rejected"
    assert "100 bytes; the archive lists it with 120" in _said(result, "ARC-CORRUPT")


def _zipped_entries(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as sink:
        for name, data in files.items():
            sink.writestr(name, data)
    return out.getvalue()


def test_locked_office_files(tmp_path: Path) -> None:
    """OpenDocument by its manifest, Word by PRONOM's name for it; an open one is not called locked."""
    part = (
        '<manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data manifest:x="1"/>'
    )
    for name, manifest, locked in (("locked", part, True), ("open", "<manifest/>", False)):
        path = tmp_path / f"{name}.odt"
        path.write_bytes(
            _zipped_entries(
                {"mimetype": b"x", "content.xml": b"x", "META-INF/manifest.xml": manifest.encode()}
            )
        )
        found = inspect_container(
            path, path.name, FileFormat("fmt/291", "OpenDocument Text", "1.2", "x", "", "")
        )
        assert ([problem.code for problem in found] == ["FMT-ENCRYPTED"]) is locked
    word = tmp_path / "a.doc"
    word.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1"))
    known = FileFormat("fmt/754", "Microsoft Word Document (Password Protected)", "97-2003", "x", "", "")
    assert [problem.code for problem in inspect_container(word, "a.doc", known)] == ["FMT-ENCRYPTED"]
