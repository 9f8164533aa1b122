"""Archives among the records are looked into in a process that may break."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from packages.package_file import UNKNOWN_FORMAT
from pipeline.errors import SubmissionUnreadable
from pipeline.formats.archive_look import ArchiveLook


@pytest.fixture
def look() -> Iterator[ArchiveLook]:
    """The real process."""
    with closing(ArchiveLook()) as made:
        yield made


def _expanding(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(4 << 20))
    return path


def test_each_file_has_its_own_answer(look: ArchiveLook, tmp_path: Path) -> None:
    """In the order given, and by the name people know it by."""
    (tmp_path / "a.txt").write_text("no archive")
    expanding = _expanding(tmp_path / "b.zip")
    found = look.look([
        (tmp_path / "a.txt", "a.txt", UNKNOWN_FORMAT), (expanding, "box/b.zip", UNKNOWN_FORMAT),
        (tmp_path / "a.txt", "c.txt", UNKNOWN_FORMAT),
    ])  # fmt: skip
    assert [[(one.code, one.path) for one in of_file] for of_file in found] == [
        [], [("FMT-EXPANDS", "box/b.zip")], [],
    ]  # fmt: skip


def test_a_process_without_an_answer_costs_that_file_alone(tmp_path: Path) -> None:
    """It is named as not looked into; the others are looked into as ever."""
    stuck = tmp_path / "stuck.zip"
    os.mkfifo(stuck)  # nobody ever writes into it
    good = _expanding(tmp_path / "good.zip")
    with closing(ArchiveLook(timeout_s=6)) as impatient:
        first, second = impatient.look(
            [(stuck, "stuck.zip", UNKNOWN_FORMAT), (good, "g.zip", UNKNOWN_FORMAT)]
        )
    assert [(one.code, one.path) for one in first] == [("FMT-NOT-CHECKED", "stuck.zip")]
    assert "no answer" in first[0].found
    assert [one.code for one in second] == ["FMT-EXPANDS"]


def test_what_cannot_be_read_is_no_fault_of_the_package(look: ArchiveLook, tmp_path: Path) -> None:
    """The work area is ours: the run fails, and is tried again."""
    with pytest.raises(SubmissionUnreadable, match=r"gone\.zip"):
        look.look([(tmp_path / "gone.zip", "gone.zip", UNKNOWN_FORMAT)])
