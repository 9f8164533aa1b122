"""Packages that once broke something: each must end in a verdict, and never lose a byte."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from packages.digest import sha512_hex
from packages.identifiers import PackageId
from pipeline.access.dip import disseminate
from pipeline.access.export import export_aip
from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.ingest.run import ingest
from storage.errors import StoreUnavailable, WriteMismatch
from storage.files.store import FileStore
from storage.ocfl.object_copy import copy_object
from storage.ocfl.repository import OcflRepository
from storage.protocol import Upload

_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def _intact(archive: Archive) -> None:
    reports = list(verify_archive(archive, None))
    assert reports
    assert all(report.outcome == "intact" for report in reports), reports


@pytest.mark.parametrize(
    "content",
    [
        {"a%": b"1", "a_/x": b"2"},
        {"a%/x": b"1", "a_": b"2"},
        {"a%": b"1", "a_": b"2", "a\n": b"3", "a_~2": b"4"},
        {"x\ufffe": b"1", "x\uffff": b"2"},
        {"long/" + "é" * 120 + ".pdf": b"%PDF-1.4"},
    ],
)
def test_names_that_must_change(
    content: dict[str, bytes], archive: Archive, agreement: Agreement, make_bag, tmp_path: Path
) -> None:
    """Renamed without clashes; everything comes out, in the AIP and in the DIP."""
    result = ingest(make_bag(content), agreement, archive)
    assert result.outcome == "stored", result.reason
    _intact(archive)
    package = PackageId.parse(str(result.aip))
    bag = export_aip(package, archive.repositories, tmp_path / "out").folder
    dip = disseminate(package, archive, tmp_path / "dip").folder
    for folder in (bag / "data" / package.objid, dip):
        data = folder / "representations/rep1/data"
        found = sorted(p.read_bytes() for p in data.rglob("*") if p.is_file())
        assert found == sorted(content.values())


def test_a_name_too_long_for_disks(archive: Archive, agreement: Agreement, tmp_path: Path) -> None:
    """A 300-byte name in a zip is kept under a shorter one that can be exported."""
    name, data = "y" * 300 + ".txt", b"long"
    sip = tmp_path / "long.zip"
    with zipfile.ZipFile(sip, "w") as target:
        target.writestr("bagit.txt", _DECLARATION)
        target.writestr("manifest-sha512.txt", f"{sha512_hex(data)}  data/{name}\n")
        target.writestr(f"data/{name}", data)
    result = ingest(sip, agreement, archive)
    assert result.outcome == "stored"
    assert "PATH-RENAMED" in {p.code for p in result.problems}
    package = PackageId.parse(str(result.aip))
    export_aip(package, archive.repositories, tmp_path / "out")
    assert disseminate(package, archive, tmp_path / "dip").files == 1


@pytest.mark.parametrize(
    ("tag", "content"),
    [
        ("bag-info.txt", f"Payload-Oxum: {'9' * 5000}.1\n".encode()),
        ("bagit.txt", b"BagIt-Version: " + b"1" * 5000 + b".0\nTag-File-Character-Encoding: UTF-8\n"),
        ("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: hex\n"),
        ("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: rot13\n"),
        ("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: utf-7\n"),
        ("bagit.txt", b""),
        ("bagit.txt", b"\xff\xfe\x00"),
    ],
)
def test_absurd_tag_files(
    tag: str, content: bytes, archive: Archive, agreement: Agreement, make_bag
) -> None:
    """Rejected with a reason, never an exception."""
    sip = make_bag({"a": b"a"})
    (sip / tag).write_bytes(content)
    assert ingest(sip, agreement, archive).outcome == "rejected"


def test_a_stub_of_a_container(archive: Archive, agreement: Agreement, make_bag) -> None:
    """A payload file that only begins like 7-Zip, RAR or zip is kept like any other."""
    content = {"a.7z": b"7z\xbc\xaf\x27\x1c\0", "b.rar": b"Rar!\x1a\x07\x01", "c.zip": b"PK\3\4"}
    assert ingest(make_bag(content), agreement, archive).outcome == "stored"


def test_a_very_deep_folder(archive: Archive, agreement: Agreement, make_bag) -> None:
    """1,100 levels are no reason to crash."""
    sip = make_bag({"a": b"a"})
    here = os.open(sip / "data", os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    try:
        assert ingest(sip, agreement, archive).outcome in ("stored", "rejected")
    finally:  # too deep for Python's own removal of temporary folders
        subprocess.run(["rm", "-rf", sip], check=True)


def test_a_submission_with_an_undecodable_name(archive: Archive, agreement: Agreement, make_bag) -> None:
    """The name of the delivery itself need not be UTF-8."""
    sip = make_bag({"a": b"a"})
    odd = Path(os.fsdecode(os.fsencode(sip.parent) + b"/sip-\xff"))
    sip.rename(odd)
    assert ingest(odd, agreement, archive).outcome == "stored"


def test_a_tar_entry_named_dot(archive: Archive, agreement: Agreement, tmp_path: Path) -> None:
    """A file that claims to be the folder itself is refused."""
    sip = tmp_path / "dot.tar"
    with tarfile.open(sip, "w") as target:
        for name, data in (("bagit.txt", _DECLARATION), (".", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    result = ingest(sip, agreement, archive)
    assert "PATH-ESCAPE" in {p.code for p in result.problems}


def test_a_zip_folder_with_content(archive: Archive, agreement: Agreement, tmp_path: Path) -> None:
    """Bytes hidden in a folder entry are found, not dropped."""
    sip = tmp_path / "hidden.zip"
    with zipfile.ZipFile(sip, "w") as target:
        target.writestr("bagit.txt", _DECLARATION)
        target.writestr("manifest-sha512.txt", f"{sha512_hex(b'a')}  data/a\n")
        target.writestr("data/a", b"a")
        target.writestr("data/lost/", b"bytes")
    result = ingest(sip, agreement, archive)
    assert (result.outcome, {p.code for p in result.problems if p.severity == "error"}) == (
        "rejected", {"PATH-DEVICE"},
    )  # fmt: skip


def test_a_gzip_bomb(archive: Archive, agreement: Agreement, tmp_path: Path) -> None:
    """A tar.gz that expands a thousand times is not unpacked."""
    plain, sip = io.BytesIO(), tmp_path / "bomb.tar.gz"
    with tarfile.open(fileobj=plain, mode="w") as target:
        for name, data in (("bagit.txt", _DECLARATION), ("data/zero", bytes(300 << 20))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    sip.write_bytes(gzip.compress(plain.getvalue()))
    assert {p.code for p in ingest(sip, agreement, archive).problems} == {"ARC-BOMB"}


def test_identities_cannot_be_forged(archive: Archive, agreement: Agreement, make_bag) -> None:
    """A name that spells another manifest's lines is another submission."""
    first = make_bag({"a": b"AA", "b": b"BB"}, name="one", External_Identifier="x")
    trick = f"a\n{sha512_hex(b'BB')}  data/b"
    second = make_bag({"plain": b"AA"}, name="two", External_Identifier="x")
    assert ingest(first, agreement, archive).outcome == "stored"
    encoded = trick.replace("\n", "%0A")
    sip = second.with_name("trick.zip")
    with zipfile.ZipFile(sip, "w") as target:
        target.writestr("bagit.txt", _DECLARATION)
        target.writestr("bag-info.txt", "External-Identifier: x\n")
        target.writestr("manifest-sha512.txt", f"{sha512_hex(b'AA')}  data/{encoded}\n")
        target.writestr(f"data/{trick}", b"AA")
    assert ingest(sip, agreement, archive).outcome == "stored"


def test_receipts_do_not_overwrite_each_other(archive: Archive, agreement: Agreement, make_bag) -> None:
    """Two submissions of one second whose names differ in one Chinese character."""
    for name in ("档", "案"):
        ingest(make_bag({"a": name.encode()}, name=name), agreement, archive)
    assert len(list(archive.receipts.glob("*.md"))) == 2


def test_a_half_written_copy_is_not_trusted(
    tmp_path: Path, archive: Archive, agreement: Agreement, make_bag
) -> None:
    """Leftovers of a killed run under the same keys never become part of a committed copy."""
    result = ingest(make_bag({"a": b"a"}), agreement, archive)
    (tmp_path / "second").mkdir()
    other = OcflRepository(FileStore(tmp_path / "second", "second"))
    other.initialise()
    root = other.layout.object_root(str(result.aip))
    stale = b"left by a killed run"
    other.store.put([Upload(f"{root}/v1/content/bagit.txt", len(stale), sha512_hex(stale), content=stale)])
    copy_object(archive.repositories[0], other, str(result.aip))
    one = _objects(archive.repositories[0].store)
    assert one == _objects(other.store)


def _objects(store) -> dict[str, bytes]:
    from storage.protocol import read_all

    return {key: read_all(store, key) for key in store.list("")}


def test_a_process_of_a_former_host_does_not_block(
    archive: Archive, agreement: Agreement, make_bag
) -> None:
    """A container killed in the middle comes back under another name."""
    from sqlalchemy import update

    from storage.catalogue.tables import INGEST

    sip = make_bag({"a": b"a"})
    result = ingest(sip, agreement, archive)
    with archive.catalogue.database.transaction() as connection:
        connection.execute(update(INGEST).values(outcome="running", owner="deadcontainer:7:123"))
    assert ingest(sip, agreement, archive).outcome == "duplicate", result


def test_failed_durability_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk cannot promise, nothing is committed."""
    import storage.files.store

    store = FileStore(tmp_path)
    monkeypatch.setattr(storage.files.store, "_SYNCFS", lambda descriptor: -1)
    with pytest.raises(StoreUnavailable):
        store.replace(Upload.of("inventory.json", b"{}"))
    assert store.size("inventory.json") is None


def test_a_wrong_size_is_a_mismatch(tmp_path: Path) -> None:
    """The size promised is the size written."""
    store = FileStore(tmp_path)
    with pytest.raises(WriteMismatch):
        store.put([Upload("k", 3, sha512_hex(b"four"), content=b"four")])
