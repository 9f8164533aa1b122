"""The official E-ARK corpus and eark-validator's structure cases, through ``stele check``'s own code."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest
from scoring import Row, Score, rows

from packages.problems.problem import Severity
from pipeline.archive import Archive
from pipeline.checking.submission import check
from pipeline.context import Result
from storage.states import Outcome

# Expectations that the standard, or the case's own METS, contradicts.
_DISPUTED = {
    ("ip-test-corpus/CSIP114/invalid/no_rep_file_grp.zip", "CSIP114"): (
        "wanted as a warning; but CSIP114 is a MUST, 1..n within fileSec, in every version of the profile"
    ),
    ("ip-test-corpus/CSIP61/invalid/fileGrp_ADMID_incorrect_ref2.zip", "CSIP61"): (
        "its METS has the wrong reference not in fileGrp/@ADMID (CSIP61) but in the div Metadata (CSIP91)"
    ),
    ("ip-test-corpus/CSIP8/invalid/mets-xml_metsHdr_LASTMODDATE_in_future.zip", "CSIP8"): (
        "its METS has no LASTMODDATE at all, in the future or not: a SHOULD, so a warning"
    ),
}


def _code(row: Row) -> str | None:
    named = re.search(r"\b(CSIPSTR\d+|CSIP\d+|SIP\d+|DIP\d+)\b", row.reason)
    return named.group() if named else None


def _verdict(row: Row, result: Result) -> tuple[str, list[str]]:
    """For the one rule a row is about; the README of the corpus says that nothing else counts."""
    code = _code(row) or "CSIPSTR1"
    found = {p.severity for p in result.problems if p.code == code}
    codes = sorted({p.code for p in result.problems})
    if Severity.ERROR in found:
        return "invalid", codes
    # For a valid row a warning is allowed.
    return ("warn" if Severity.WARNING in found and row.expected != "valid" else "valid"), codes


def test_eark_family(
    corpora: Path, archive: Archive, agreement: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The named rule is reported at the right weight, or not at all; nothing fetched, nothing left behind."""

    def refuse(*_args: object) -> None:
        raise AssertionError("a check went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    score = Score("eark")
    results: dict[Path, Result] = {}
    before = set(tmp_path.rglob("*"))
    for row in rows(corpora, "eark"):
        if row.path not in results:
            results[row.path] = check(row.path, agreement, archive)
        result = results[row.path]
        assert result.outcome is not Outcome.FAILED, f"{row.case}: {result.reason}"
        if (row.case, _code(row)) in _DISPUTED:
            continue
        verdict, codes = _verdict(row, result)
        score.judge(row, verdict, codes, lambda row, codes: (_code(row) or "CSIPSTR1") in codes)
    assert set(tmp_path.rglob("*")) == before, "something was left behind"
    score.close()


def test_all_serialisations_agree(corpora: Path, archive: Archive, agreement: Any) -> None:
    """The same package as tar, tar.gz and zip: the same findings."""
    folder = corpora / "eark" / "eark-validator" / "minimal"
    found = []
    for ending in ("tar", "tar.gz", "zip"):
        result = check(folder / f"minimal_IP_with_schemas.{ending}", agreement, archive)
        found.append({(p.code, p.path, p.found) for p in result.problems if p.code != "CSIPSTR1"})
        assert result.files == 7
    assert found[0] == found[1] == found[2]
