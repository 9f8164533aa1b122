"""Findings: all of them up to a number, then counted."""

from __future__ import annotations

from packages.problems.catalogue import problem
from pipeline.findings import MAX_KEPT_PER_CODE, Findings


def test_a_flood_is_listed_and_counted() -> None:
    """Memory and report stay bounded; the count stays true."""
    findings = Findings()
    for number in range(MAX_KEPT_PER_CODE + 500):
        findings.add(problem("BAG-DIGEST", f"data/{number}"))
    findings.add(problem("FMT-EMPTY", "data/x"))
    found = findings.all()
    assert len(found) == MAX_KEPT_PER_CODE + 2
    assert found[-1].for_depositor == f"… and 500 more of this kind ({MAX_KEPT_PER_CODE + 500:,} in all)."
    assert findings.errors == MAX_KEPT_PER_CODE + 500
    assert len(findings) == MAX_KEPT_PER_CODE + 501


def test_the_same_finding_counts_once() -> None:
    """Two manifests that miss the same file give one line in the report."""
    findings = Findings()
    findings.add(problem("BAG-FILE-UNLISTED", "data/a"))
    findings.add(problem("BAG-FILE-UNLISTED", "data/a"))
    assert (len(findings), findings.errors) == (1, 1)
