"""Bags of other implementations' test suites."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scoring import Row, Score, rows

from packages.problems.problem import Severity
from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.ingest.run import check

# Which codes are the reason a row names, by words of the row.
_REASONS = {
    "outside the bag": {"BAG-FETCH-PATH", "BAG-MANIFEST-PATH"},
    "out of scope": {"BAG-MANIFEST-PATH"},
    "forbids fetch": {"BAG-PROFILE"},
    "manifest missing": {"BAG-PROFILE"},
    "tag file checksum": {"BAG-DIGEST"},
    "data/ prefix": {"BAG-MANIFEST-SCOPE", "BAG-FILE-UNLISTED"},
    "not in manifest": {"BAG-FILE-UNLISTED"},
    "every manifest must list": {"BAG-MANIFEST-INCOMPLETE"},
    "which is absent": {"BAG-FILE-MISSING"},
    "missing encoding": {"BAG-DECLARATION"},
    "bom in bagit": {"BAG-BOM"},
    "corrupt data file": {"BAG-DIGEST", "BAG-OXUM"},
    "invalid version": {"BAG-DECLARATION", "BAG-VERSION-UNKNOWN"},
    "missing baginfo": {"BAG-FILE-MISSING"},
    "invalid whitespace": {"BAG-DECLARATION"},
    "notAllManifests": {"BAG-MANIFEST-INCOMPLETE", "BAG-FILE-UNLISTED"},
    "relative path": {"BAG-MANIFEST-RELATIVE"},
}
# Reported about every package here, so no proof that the row's own fact was seen.
_ALWAYS = {"VIRUS-NOT-SCANNED", "BAG-VERSION", "BAG-WEAK-ALGORITHM", "BAG-INFO-OPTIONAL"}


def _fits(row: Row, codes: list[str]) -> bool:
    wanted = [c for words, c in _REASONS.items() if words in row.reason]
    assert wanted, f"no reason mapped for {row.reason}"
    return any(set(codes) & codes_ for codes_ in wanted)


def test_bagit_family(corpora: Path, archive: Archive, agreement: Agreement) -> None:
    """Every valid bag is accepted, every broken one refused for its own reason."""
    score = Score("bagit")
    profile: dict[str, Any] = json.loads(
        (corpora / "bagit/bagit-java-profile/exampleProfile.json").read_text("utf-8")
    )
    for row in rows(corpora, "bagit"):
        agreed = agreement
        if row.kind == "bagit-profile":
            agreed = agreement.model_copy(update={"profile": profile})
        result = check(row.path, agreed, archive)
        errors = [p for p in result.problems if p.severity is Severity.ERROR]
        codes = [p.code for p in result.problems if p.code not in _ALWAYS]
        verdict = "invalid" if errors else "valid"
        if verdict == "valid" and row.expected == "warn" and codes:
            verdict = "warn"
        assert result.outcome in ("rejected", "acceptable"), result.reason
        score.judge(row, verdict, [p.code for p in errors] or codes, _fits)
    score.close()


def test_every_case_is_there(corpora: Path) -> None:
    """The family has the rows this test was written for."""
    assert sum(1 for _ in rows(corpora, "bagit")) >= 43
