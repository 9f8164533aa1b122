"""Odd input that once crashed a run, filled a disk, or was taken and could never be given back."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from packages.identifiers import PackageId
from pipeline.access.export import export_aip
from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.ingest.run import ingest
from pipeline.ingest.sandbox import judge_here


def _codes(result) -> set[str]:
    return {problem.code for problem in result.problems}


def test_deep_and_long_paths_are_refused(archive: Archive, agreement, tmp_path: Path) -> None:
    """Three entries of thousands of folders are a report, not gigabytes in the work area."""
    target = tmp_path / "deep.zip"
    with zipfile.ZipFile(target, "w") as packed:
        packed.writestr("bag/bagit.txt", "x")
        packed.writestr("bag/data/" + "a/" * 30_000 + "x", "x")
        packed.writestr("bag/data/" + "b" * 200 + "/" + "/".join(["c" * 200] * 16), "x")
    result = ingest(target, agreement, archive)
    assert result.outcome == "rejected"
    assert "PATH-TOO-LONG" in _codes(result)
    assert result.seconds < 5


def test_an_eark_package_as_payload(archive: Archive, agreement, make_bag) -> None:
    """A payload with a PREMIS file at the usual place is payload, whatever is in it."""
    name = "pkg/representations/r/metadata/preservation/premis.xml"
    ingest(make_bag({name: b"not XML", "pkg/metadata/preservation/premis.xml": b"<"}), agreement, archive)
    (report,) = verify_archive(archive, None)
    assert (report.outcome, report.problems) == ("intact", ())


def test_other_line_ends_in_bag_info(archive: Archive, agreement, make_bag) -> None:
    """A label after U+2028 would be a field for one reader and text for another: said, not dropped."""
    result = ingest(make_bag({"a": b"a"}, Source_Organization="A\u2028gency"), agreement, archive)
    assert result.outcome == "rejected"
    assert "BAG-INFO-LABEL" in _codes(result)


def test_line_ends_in_names(archive: Archive, agreement, make_bag, tmp_path: Path) -> None:
    """Renamed with an event, so that every reader of the manifest sees the same lines."""
    result = ingest(make_bag({"a\u2028b.txt": b"a", "c\u0085d.txt": b"c"}), agreement, archive)
    assert result.outcome == "stored", result.problems
    bag = export_aip(PackageId.parse(str(result.aip)), archive.repositories, tmp_path / "out").folder
    import bagit

    bagit.Bag(str(bag)).validate(processes=1)


@pytest.mark.parametrize("encoding", ["zlib", "base64", "utf\u0000-8", "rot13", "undefined", "x"])
def test_encodings_that_are_none(encoding: str, archive: Archive, agreement, make_bag) -> None:
    """Rejected with the reason; Python's other codecs are no character encodings."""
    bag = make_bag({"a": b"a"})
    (bag / "bagit.txt").write_text(f"BagIt-Version: 1.0\nTag-File-Character-Encoding: {encoding}\n")
    result = ingest(bag, agreement, archive)
    assert (result.outcome, result.reason) == ("rejected", "")
    assert "BAG-DECLARATION" in _codes(result)


def test_a_pipe_is_no_submission(archive: Archive, agreement, tmp_path: Path) -> None:
    """It is refused at once; reading it would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    result = ingest(tmp_path / "pipe", agreement, archive)
    assert result.outcome == "failed"
    assert "neither a file nor a folder" in result.reason


def test_a_name_that_is_no_unicode(archive: Archive, agreement, tmp_path: Path) -> None:
    """One such path is one report; the run goes on."""
    odd = tmp_path / os.fsdecode(b"no\xff.bin")
    odd.write_bytes(b"x")
    result = ingest(odd, agreement, archive)
    assert result.outcome == "rejected"
    assert result.receipt
    assert Path(result.receipt).is_file()


def test_the_current_folder_has_a_name(archive: Archive, agreement, make_bag, monkeypatch) -> None:
    """``stele ingest .`` gets the folder's name as title, and can be registered again."""
    monkeypatch.chdir(make_bag({"a": b"a"}, name="letters"))
    Path("bag-info.txt").unlink()
    result = ingest(Path(), agreement, archive)
    row = archive.catalogue.aips.get(str(result.aip))
    assert row is not None
    assert row.title == "letters"


def test_a_file_that_still_grows(archive: Archive, agreement, make_bag, monkeypatch) -> None:
    """Our side tries again; the agency is not told that it sent something broken."""
    import packages.containers.sources as sources

    bag = make_bag({"log.txt": b"first line\n"})
    original = sources._open_file

    def growing(place: str, size: int) -> io.FileIO:
        if place.endswith("log.txt"):
            with Path(place).open("ab") as late:
                late.write(b"second line\n")
        return original(place, size)  # type: ignore[return-value]

    monkeypatch.setattr(sources, "_open_file", growing)
    result = ingest(bag, agreement, archive, judge=judge_here)
    assert result.outcome == "failed"
    assert "still being written" in result.reason


def test_receipts_that_cannot_be_written(archive: Archive, agreement, make_bag) -> None:
    """What is stored is stored, in the answer and in the catalogue, with or without a paper."""
    archive.receipts.rmdir()
    archive.receipts.write_text("a file where a folder should be")
    result = ingest(make_bag({"a": b"a"}), agreement, archive)
    assert result.outcome == "stored"
    assert "receipt could not be written" in result.reason
    assert len(list(archive.catalogue.aips.all())) == 1
