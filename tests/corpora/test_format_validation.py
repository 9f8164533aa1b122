"""FileValidation of foreign collections: by the checks that come with Stele, by JHOVE and by veraPDF."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from requirements import unavailable
from scoring import Row, Score, rows

from pipeline.formats.tool import ValidationResult, Validity
from pipeline.tools import Toolbox
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


def _verdicts(tools: Toolbox, cases: list[Row]) -> list[ValidationResult]:
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
    score = Score(f"{family}, validity")
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


_PDFA = {"fmt/95", "fmt/354", *(f"fmt/{number}" for number in (*range(476, 482), 1910, 1911, 1912))}
_OF_JHOVE = {
    "validate-epub", "validate-wave", "validate-pdf", "validate-tiff", "validate-gif", "validate-png",
    "validate-aiff", "validate-jpeg2000", "validate-ascii", "validate-xml",
}  # fmt: skip


def _need(tools: Toolbox, name: str) -> None:
    assert tools.validation is not None
    (state,) = [state for state in tools.validation.states if state.name == name]
    if not state.usable:
        unavailable(f"{name}: {state.problem}")


def test_pdfa_family(corpora: Path, tools: Toolbox) -> None:
    """Conformant is what is identified as PDF/A and found valid; a label alone is never believed."""
    _need(tools, "veraPDF")
    cases = list(rows(corpora, "pdfa"))
    known = list(tools.identifier.identify([str(row.path) for row in cases]))
    began = time.perf_counter()
    score = Score("pdfa")
    for row, one, verdict in zip(cases, known, _verdicts(tools, cases), strict=True):
        conformant = one.puid in _PDFA and verdict.validity is Validity.VALID
        score.judge(
            row,
            "valid" if conformant else "invalid",
            list(verdict.messages),
            lambda row, said: _clause(row, said),
        )
    print(f"\n{(time.perf_counter() - began) * 1000 / len(cases):.0f} ms a file with all tools")
    assert score.verdicts == score.scored, "\n".join(score.wrong)
    assert score.reasons >= 290, "\n".join(score.wrong)
    print(f"right verdict {score.verdicts}/{score.scored}, the clause of the name {score.reasons}")


def _clause(row: Row, messages: list[str]) -> bool:
    """Whether the clause in the file's name is among those named; the rules were renumbered since."""
    clause = row.reason.split("clause ")[1].split(" ")[0].replace("-", ".")
    return any(f" {clause}-" in message or f" {clause}." in message for message in messages)


def test_jhove_rows(corpora: Path, tools: Toolbox) -> None:
    """JHOVE's own collections, through our choice of modules; three EPUBs are a matter of severity."""
    _need(tools, "JHOVE")
    cases = [row for row in rows(corpora, "format-validation") if row.kind in _OF_JHOVE]
    verdicts = _verdicts(tools, cases)
    score, peers = Score("JHOVE ground"), _peer(corpora, "format-validation")
    for row, verdict in zip(cases, verdicts, strict=True):
        said = "valid" if verdict.validity in _SOUND else "invalid"
        if said == "invalid" and verdict.validity is not Validity.NOT_VALID:
            said = str(verdict.validity)
        score.judge(row, said, list(verdict.messages), lambda _, messages: bool(messages))
    ran = [row for row in cases if "not run" not in peers[row.case] and row.expected != "arguable"]
    right = sum(peers[row.case].startswith(row.expected) for row in ran)
    print(
        f"\nright: ours {score.verdicts} of {score.scored}; JHOVE as its authors ran it {right} of "
        f"{len(ran)} (it was not run on the others); arguable without crash {score.arguable}"
    )
    epubs = [wrong for wrong in score.wrong if "/EPUB-ptc/" in wrong]
    assert score.wrong == epubs, "\n".join(score.wrong)
    assert len(epubs) <= 3, "\n".join(epubs)
