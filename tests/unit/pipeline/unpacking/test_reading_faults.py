"""A disk that fails while a package is read is ours to act on, in whichever room it is read."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from packages.containers.sources import Entry, EntryKind, SourceUnreadable, corruption
from packages.package_file import UNKNOWN_FORMAT
from packages.worklist import Worklist
from pipeline.errors import SubmissionUnreadable
from pipeline.formats import archives
from pipeline.unpacking.custody import take_custody


class _Failing(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def readinto(self, _: Any) -> int:
        raise OSError(errno.EIO, "Input/output error")


class _Source:
    packed_size = None

    def contents(self) -> Iterator[tuple[Entry, Any]]:
        yield Entry("data/a.txt", EntryKind.FILE, 5, 5, 0), _Failing


def test_while_bytes_are_taken_into_custody(tmp_path: Path) -> None:
    """Also where no ingest is around it: a representation that is added to an AIP."""
    context: Any = SimpleNamespace(work=tmp_path, progress=lambda *_: None, identification=None)
    with (
        closing(Worklist(tmp_path, ())) as files,
        pytest.raises(SubmissionUnreadable, match="Input/output"),
    ):
        take_custody(_Source(), "", files, context)  # type: ignore[arg-type]


def test_while_an_archive_among_the_files_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known error, not a bug to report."""

    class Failing:
        def __init__(self, *_: object) -> None:
            """Opened well."""

        def entries(self) -> Iterator[Entry]:
            with corruption():
                raise OSError(errno.EIO, "Input/output error")
            yield

        def close(self) -> None:
            """Nothing to give back."""

    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + bytes(40))
    monkeypatch.setattr(archives, "ZipSource", Failing)
    with pytest.raises(SourceUnreadable, match="Input/output"):
        archives.inspect_container(tmp_path / "a.zip", "a.zip", UNKNOWN_FORMAT)
