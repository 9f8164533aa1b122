"""SIARD, OFD, JPEG 2000 and PDF risks of foreign collections, by the checks that come with Stele."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from scoring import Row, Score, rows

from pipeline.formats.tool import Validity, Verdict
from pipeline.formats.toolbox import Toolbox
from stele.settings import Settings
from stele.wiring import build_tools

_SOUND = (Validity.VALID, Validity.WELL_FORMED)
_RISKS = {
    "encrypted, copying forbidden": "copying forbidden",
    "encrypted, text access forbidden": "text access forbidden",
    "embedded JavaScript": "embedded JavaScript",
    "fonts not embedded": "fonts not embedded",
}


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toolbox]:
    """As a workspace without settings of its own has them."""
    yield build_tools(Settings(home=tmp_path_factory.mktemp("home")))


def _verdicts(tools: Toolbox, cases: list[Row]) -> list[Verdict]:
    assert tools.validation is not None
    known = tools.identifier.identify([str(row.path) for row in cases])
    return tools.validation.check([(row.path, one) for row, one in zip(cases, known, strict=True)])


def _peer(corpora: Path, family: str) -> dict[str, str]:
    with (corpora / family / "EXPECTED.tsv").open(encoding="utf-8", newline="") as table:
        rows = csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["case"]: row["peer_verdict"] for row in rows}


@pytest.mark.parametrize("family", ["siard", "ofd"])
def test_containers(family: str, corpora: Path, tools: Toolbox) -> None:
    """Readable ones are sound; aborted ones are said to be damaged, whatever they are called."""
    cases = list(rows(corpora, family))
    score = Score(f"{family}, soundness")
    for row, verdict in zip(cases, _verdicts(tools, cases), strict=True):
        said = "valid" if verdict.validity in _SOUND else "invalid"
        score.judge(row, said, list(verdict.messages), lambda _, messages: bool(messages))
    score.close()


@pytest.mark.parametrize("cut", [0.3, 0.9, 0.99])
def test_damaged_ofd(cut: float, corpora: Path, tools: Toolbox, tmp_path: Path) -> None:
    """Cut short, each is still called OFD and said to be damaged."""
    cases = []
    for number, row in enumerate(rows(corpora, "ofd")):
        if row.expected == "valid":
            place = tmp_path / f"{number}.ofd"
            content = row.path.read_bytes()
            place.write_bytes(content[: int(len(content) * cut)])
            cases.append(Row(row.case, row.kind, "invalid", "cut short", place))
    assert [v.validity for v in _verdicts(tools, cases)] == [Validity.NOT_VALID] * len(cases)


def test_jpeg_2000(corpora: Path, tools: Toolbox) -> None:
    """jpylyzer's table; JHOVE alone calls six of the damaged ones valid."""
    cases = [row for row in rows(corpora, "format-validation") if row.kind == "validate-jp2"]
    score = Score("jp2")
    for row, verdict in zip(cases, _verdicts(tools, cases), strict=True):
        said = "invalid" if verdict.validity is Validity.NOT_VALID else str(verdict.validity)
        score.judge(row, said, list(verdict.messages), lambda _, messages: bool(messages))
    peers = _peer(corpora, "format-validation")
    scored = [row for row in cases if row.expected != "arguable"]
    jhove = sum(not peers[row.case].startswith("invalid") for row in scored)
    print(f"\nwrong: ours {len(score.wrong)}, JHOVE alone {jhove} of {len(scored)}")
    score.close()


def test_risks_of_pdf(corpora: Path, tools: Toolbox) -> None:
    """Encryption, scripts and missing fonts are reported though the file opens."""
    cases = [row for row in rows(corpora, "format-validation") if row.kind == "pdf-risk"]
    score = Score("pdf-risk")
    for row, verdict in zip(cases, _verdicts(tools, cases), strict=True):
        wanted = next(words for start, words in _RISKS.items() if start in row.reason)
        risks = [message for message in verdict.messages if message.startswith("risk: ")]
        said = "warn" if any(wanted in risk for risk in risks) else "nothing"
        score.judge(row, said, risks, lambda _, risks: bool(risks))
    score.close()
