"""Closed records leave the archive only when somebody answers for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from packages.identifiers import PackageId
from pipeline.access.dip import AccessClosed, Release, disseminate
from pipeline.archive import Archive
from pipeline.ingest.run import ingest
from stele.settings import load_settings
from stele.wiring import choose_agreement

_CLOSED = 'name = "closed"\n[agency]\nname = "A"\n[rights]\naccess = "closed"\n'


def _kept(archive: Archive, home: Path, make_bag: Any, more: str = "") -> PackageId:
    (home / "agreements/closed.toml").write_text(_CLOSED + more)
    agreed = choose_agreement(load_settings(home), "closed")
    return PackageId.parse(str(ingest(make_bag({"a.txt": b"secret"}), agreed, archive).aip))


@pytest.mark.parametrize(
    "release", [None, Release("", ""), Release("A. Clerk", " "), Release(" ", "court order")]
)
def test_refused(
    archive: Archive, home: Path, make_bag: Any, tmp_path: Path, release: Release | None
) -> None:
    """Nothing is written, and nothing recorded."""
    aip = _kept(archive, home, make_bag)
    with pytest.raises(AccessClosed, match="without an end"):
        disseminate(aip, archive, tmp_path / "dips", release=release)
    assert not (tmp_path / "dips").exists()
    assert not [e for e in archive.catalogue.events.of(aip.urn) if e.type == "dissemination"]


def test_released(archive: Archive, home: Path, make_bag: Any, tmp_path: Path) -> None:
    """The DIP is built; the archive remembers who let it leave, and why."""
    aip = _kept(archive, home, make_bag)
    made = disseminate(aip, archive, tmp_path / "dips", release=Release("A. Clerk", "court order 7"))
    assert (made.folder / "index.html").is_file()
    (row,) = [e for e in archive.catalogue.events.of(aip.urn) if e.type == "dissemination"]
    assert row.detail == "closed records released as DIP by A. Clerk: court order 7"


def test_the_agreement_of_then_counts(archive: Archive, home: Path, make_bag: Any, tmp_path: Path) -> None:
    """Opening the agreement later does not open what was agreed to be closed; its day does."""
    aip = _kept(archive, home, make_bag, 'open_from = "2040-01-01"\n')
    (home / "agreements/closed.toml").write_text(
        _CLOSED.replace('"closed"\n[agency', '"closed"\n[agency').replace(
            'access = "closed"', 'access = "open"'
        )
    )
    with pytest.raises(AccessClosed, match="until 2040-01-01"):
        disseminate(aip, archive, tmp_path / "dips")
    later = replace(archive, clock=lambda: datetime(2040, 1, 1, tzinfo=UTC))
    assert disseminate(aip, later, tmp_path / "dips").files == 1
