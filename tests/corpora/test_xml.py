"""XML attacks as metadata, and METS files with one defect each."""

from __future__ import annotations

import re
import time
from pathlib import Path

from scoring import Row, Score, rows

from packages.problems.problem import Severity
from pipeline.ingest.verify.eark_package import check_mets_file
from schemas.xml import XmlRefused, parse

_ATTACK = {"invalid": "XML-ENTITY", "warn": "XML-EXTERNAL-DTD"}


def test_xml_attacks_family(corpora: Path) -> None:
    """Entities are refused, an external DTD is reported and not fetched, harmless XML parses."""
    score = Score("xml-attacks")
    for row in rows(corpora, "xml-attacks"):
        began = time.monotonic()
        codes: list[str] = []
        try:
            parsed = parse(row.path.read_bytes())
            verdict = "warn" if parsed.external_dtd else "valid"
            codes = ["XML-EXTERNAL-DTD"] if parsed.external_dtd else []
        except XmlRefused as error:
            verdict, codes = "invalid", [error.code]
        assert time.monotonic() - began < 2
        score.judge(row, verdict, codes, lambda row, codes: _ATTACK[row.expected] in codes)
    score.close()


def test_xml_attacks_as_mets(corpora: Path) -> None:
    """The same files given as METS: refused for the entity where there is one, never expanded."""
    for row in rows(corpora, "xml-attacks"):
        codes = {problem.code for problem in check_mets_file(row.path)}
        if row.expected == "invalid":
            assert codes == {"XML-ENTITY"}, row.case


def _fits(row: Row, codes: list[str]) -> bool:
    rule = re.match(r"CSIP\d+", row.reason)
    if rule:
        return rule.group() in codes
    return bool({"METS-SCHEMA", "CSIPSTR4"} & set(codes))


def test_mets_family(corpora: Path) -> None:
    """The named CSIP rule or the schema is reported; good files are good."""
    score = Score("mets")
    for row in rows(corpora, "mets"):
        # The files they list are not part of the corpus, so only the document is judged.
        problems = [p for p in check_mets_file(row.path) if p.code != "METS-FILE-MISSING"]
        errors = [p.code for p in problems if p.severity is Severity.ERROR]
        score.judge(row, "invalid" if errors else "valid", errors, _fits)
    score.close()
