"""Folders where files should be, names in no encoding, paths too long: each ends in a report."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from ocfl_builder import SmallObject, on_disk, storage_root

from pipeline.checking.stores import VerifyReport, verify_place
from storage.files.store import FileStore


def _reports(folder: Path) -> list[VerifyReport]:
    reports = list(verify_place(FileStore(folder, str(folder))))
    for report in reports:
        json.dumps(report.as_json(), ensure_ascii=False).encode("utf-8")
    return reports


@pytest.mark.parametrize(
    ("key", "codes"),
    [
        ("inventory.json", {"E063"}),
        ("inventory.json.sha512", {"E058", "E001"}),
        ("0=ocfl_object_1.1", {"E003", "E001"}),
        ("v1/inventory.json", {"W010", "W002"}),
        ("v1/inventory.json.sha512", {"E058", "W002"}),
        ("v1/content/letter.txt", {"E092", "E024"}),
    ],
)
def test_a_folder_in_place_of_a_file(tmp_path: Path, key: str, codes: set[str]) -> None:
    """The file is missing, and the folder is something unexpected."""
    folder = on_disk(tmp_path, SmallObject().files)
    (folder / key).unlink()
    (folder / key).mkdir()
    (report,) = _reports(folder)
    assert codes <= {p.code for p in report.problems}


@pytest.mark.parametrize("key", ["v1", "v1/content", "extensions", "logs"])
def test_a_file_in_place_of_a_folder(tmp_path: Path, key: str) -> None:
    """The folder's files are missing, and the file is unexpected."""
    folder = on_disk(tmp_path, SmallObject().files)
    shutil.rmtree(folder / key, ignore_errors=True)
    (folder / key).write_bytes(b"")
    (report,) = _reports(folder)
    assert {"E001", "E015"} & {p.code for p in report.problems}


def test_root_files_that_are_folders(tmp_path: Path) -> None:
    """A declaration or layout that is a folder is none."""
    folder = on_disk(tmp_path, storage_root({"a/b": SmallObject()}))
    (folder / "0=ocfl_1.1").unlink()
    for name in ("0=ocfl_1.1", "ocfl_layout.json"):
        (folder / name).mkdir()
    codes = {p.code for report in _reports(folder) for p in report.problems}
    assert codes == {"E069", "E073"}


def test_names_in_no_encoding(tmp_path: Path) -> None:
    """They are reported in a form that can be printed, and an inventory may even name them."""
    small = SmallObject()
    folder = on_disk(tmp_path, small.files)
    name = os.fsdecode(b"caf\xe9.txt")
    (folder / "v2/content" / name).write_bytes(b"")
    (report,) = _reports(folder)
    assert [(p.code, p.path) for p in report.problems] == [("E023", "v2/content/caf\\udce9.txt")]


def test_paths_longer_than_the_system_takes(tmp_path: Path) -> None:
    """What cannot be listed is unreadable, not intact."""
    folder = on_disk(tmp_path / "o", SmallObject().files)
    descriptor = os.open(folder / "v2/content", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=descriptor)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    try:
        (report,) = _reports(folder)
    finally:
        shutil.rmtree(folder)
    assert (report.outcome, [p.code for p in report.problems]) == ("unreadable", ["STORE-UNREADABLE"])
