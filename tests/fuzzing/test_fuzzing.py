"""400 archives and 200 sets of documents in every run; ``python -m fuzzing`` runs more."""

from __future__ import annotations

import os
from pathlib import Path

from fuzzing.run import judge_archive, judge_documents
from pipeline.agreement import Agreement
from pipeline.archive import Archive

_COUNT = int(os.environ.get("STELE_FUZZ", "400"))


def test_fuzzed_archives(archive: Archive, agreement: Agreement, tmp_path: Path) -> None:
    """No crash, nothing over its budget, no false reason, nothing written outside."""
    place = tmp_path / "in"
    place.mkdir()
    before = {path for path in tmp_path.rglob("*") if "home" not in path.parts}
    wrong = [said for seed in range(_COUNT) if (said := judge_archive(seed, archive, agreement, place))]
    assert not wrong, "\n".join(wrong[:5])
    assert {path for path in tmp_path.rglob("*") if "home" not in path.parts} == before


def test_fuzzed_documents(archive: Archive, agreement: Agreement, tmp_path: Path) -> None:
    """METS, bag-info.txt, profiles and agreements: judged, or refused with every mistake."""
    wrong = [
        said for seed in range(_COUNT // 2) if (said := judge_documents(seed, archive, agreement, tmp_path))
    ]
    assert not wrong, "\n".join(wrong[:5])
