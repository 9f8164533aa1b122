"""PUIDs of DROID's skeleton files, of OFD documents and of SIARD databases, beside the peers' own."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from scoring import Row, Score, rows

from pipeline.formats.identification import DISAGREES, Identifier
from stele.wiring import shipped_config

_SIARD = {"fmt/161", "fmt/995", "fmt/1196", "fmt/1777"}


@pytest.fixture(scope="module")
def identifier() -> Iterator[Identifier]:
    """As shipped, with fido beside it."""
    made = Identifier(workers=2, signatures_in=[shipped_config() / "signatures"], second=True)
    yield made
    made.close()


def _peers(corpora: Path) -> dict[str, list[str]]:
    with (corpora / "format-id/EXPECTED.tsv").open(encoding="utf-8", newline="") as table:
        rows = csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["case"]: [said.strip() for said in row["agree"].split(";")] for row in rows}


def test_format_id_family(corpora: Path, identifier: Identifier) -> None:
    """Every skeleton is what its upstream says; stubs and broken containers raise nothing."""
    cases = list(rows(corpora, "format-id"))
    known = list(identifier.identify([str(row.path) for row in cases]))
    score = Score("format-id")
    for row, one in zip(cases, known, strict=True):
        right = row.expected == "arguable" or one.puid == row.reason.removeprefix("PUID ")
        score.judge(row, "valid" if right else f"{one.puid} ({one.warning})", [], lambda *_: True)
    peers = _peers(corpora)
    scored = [row for row in cases if row.expected != "arguable"]
    siegfried, fido = (sum(peers[row.case][n].lower().startswith("no") for row in scored) for n in range(2))
    doubts = sum(DISAGREES in one.warning for one in known)
    print(f"\nwrong: ours {len(score.wrong)}, siegfried {siegfried}, fido {fido} of {score.scored}")
    print(f"fido's other opinion was reported for {doubts} files")
    assert len(score.wrong) <= siegfried, "\n".join(score.wrong)


def test_ofd_family(corpora: Path, identifier: Identifier) -> None:
    """PRONOM calls each a plain ZIP."""
    cases = list(rows(corpora, "ofd"))
    known = list(identifier.identify([str(row.path) for row in cases]))
    score = Score("ofd")
    for row, one in zip(cases, known, strict=True):
        right = one.puid == "local/ofd" and one.mime == "application/ofd"
        score.judge(row, "valid" if right else str(one.puid), [], lambda *_: True)
    score.close()


@pytest.mark.parametrize("cut", [0.3, 0.7, 0.99])
def test_damaged_ofd(cut: float, corpora: Path, identifier: Identifier, tmp_path: Path) -> None:
    """Cut short they have no ZIP directory any more, and are still OFD if that is to be seen."""
    cases = [row for row in rows(corpora, "ofd") if row.expected == "valid"]
    names = []
    for number, row in enumerate(cases):
        content = row.path.read_bytes()
        place = tmp_path / f"{number}.ofd"
        place.write_bytes(content[: int(len(content) * cut)])
        names.append(str(place))
    known = list(identifier.identify(names))
    found = sum(one.puid == "local/ofd" for one in known)
    print(f"\ncut at {cut:.0%}: {found} of {len(names)} are still seen to be OFD")
    assert all(one.puid in ("local/ofd", None) for one in known), [one.puid for one in known]
    assert found >= len(names) // 2


def test_siard_family(corpora: Path, identifier: Identifier) -> None:
    """A readable one is SIARD; of the others it is at least said that they are not."""
    cases = list(rows(corpora, "siard"))
    known = list(identifier.identify([str(row.path) for row in cases]))
    score = Score("siard, identification")
    for row, one in zip(cases, known, strict=True):
        score.judge(row, _siard(row, one.puid), [], lambda *_: True)
    score.close()


def _siard(row: Row, puid: str | None) -> str:
    return "valid" if puid in _SIARD else "invalid"
