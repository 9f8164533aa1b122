"""Awkward names must come back exactly, from a folder and from archives, in export and DIP."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from scoring import Score, rows

from packages.identifiers import PackageId
from pipeline.access.dip import disseminate
from pipeline.access.export import export_aip
from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.ingest.run import ingest


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha512(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("form", ["folder", "zip", "gztar"])
def test_names_family(
    corpora: Path, archive: Archive, agreement: Agreement, make_bag, tmp_path: Path, form: str
) -> None:
    """All files in one SIP; the DIP has each under its own name, the AIP too unless renamed."""
    cases = list(rows(corpora, "names"))
    content = {row.case: row.path.read_bytes() for row in cases}
    sip = make_bag(content, name=f"names-{form}")
    if form != "folder":
        sip = Path(shutil.make_archive(str(tmp_path / f"names.{form}"), form, sip.parent, sip.name))
    result = ingest(sip, agreement, archive)
    assert result.outcome == "stored", (result.reason, [p.code for p in result.problems])
    package = PackageId.parse(str(result.aip))
    bag = export_aip(package, archive.repositories, tmp_path / "out").folder
    kept = _digests(bag / "data" / package.objid / "representations/rep1/data")
    dip = disseminate(package, archive, tmp_path / "dip").folder
    given = _digests(dip / "representations/rep1/data")
    renamed = {p.path: p.expected for p in result.problems if p.code == "PATH-RENAMED"}
    score = Score(f"names ({form})")
    for row in cases:
        digest = hashlib.sha512(content[row.case]).hexdigest()
        in_aip = renamed.get(f"data/{row.case}", f"data/{row.case}").removeprefix("data/")
        good = given.get(row.case) == digest and kept.get(in_aip) == digest
        score.judge(row, "valid" if good else "invalid", [], lambda row, codes: True)
    assert len(given) == len(kept) == len(content)
    score.close()
