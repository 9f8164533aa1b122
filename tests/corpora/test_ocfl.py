"""Objects and storage roots of the official OCFL fixtures and of ocfl-py."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from scoring import Row, Score, rows

from packages.problems.problem import Severity
from pipeline.checking.stores import verify_place
from storage.files.store import FileStore


def _fits(row: Row, codes: list[str]) -> bool:
    wanted = re.findall(r"[EW]\d{3}", row.reason)
    assert wanted, f"{row.case} names no code"
    return set(wanted) <= set(codes)


def _folder(row: Row, work: Path) -> Path:
    if row.path.suffix != ".zip":
        return row.path
    target = work / row.path.stem
    with zipfile.ZipFile(row.path) as archive:
        archive.extractall(target)
    return target


def test_ocfl_family(corpora: Path, tmp_path: Path) -> None:
    """Good, worth a warning or bad, and for each the codes the row names, with the outcome to match."""
    score = Score("ocfl")
    for row in rows(corpora, "ocfl"):
        folder = _folder(row, tmp_path)
        reports = list(verify_place(FileStore(folder, str(folder))))
        problems = [problem for report in reports for problem in report.problems]
        weights = {problem.severity for problem in problems}
        codes = sorted({problem.code for problem in problems})
        verdict = "valid" if not weights & {Severity.ERROR, Severity.WARNING} else "warn"
        if Severity.ERROR in weights:
            verdict = "invalid"
        outcomes = {report.outcome for report in reports}
        assert (outcomes == {"intact"}) == (verdict != "invalid"), f"{row.case}: {outcomes}"
        score.judge(row, verdict, codes, _fits)
    score.close()


def test_every_case_is_there(corpora: Path) -> None:
    """The family has the rows this test was written for."""
    assert sum(1 for _ in rows(corpora, "ocfl")) >= 84
