"""Scoring a corpus family against its EXPECTED.tsv."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One expectation."""

    case: str
    kind: str
    expected: str
    reason: str
    path: Path


def rows(corpora: Path, family: str) -> Iterator[Row]:
    """The rows of a family."""
    with (corpora / family / "EXPECTED.tsv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            path = corpora / family / row["case"]
            yield Row(row["case"], row["kind"], row["expected"], row["reason"], path)


@dataclass
class Score:
    """What came out; printed at the end of each family."""

    family: str
    verdicts: int = 0
    reasons: int = 0
    scored: int = 0
    arguable: int = 0
    wrong: list[str] = field(default_factory=list)

    def judge(
        self, row: Row, verdict: str, codes: list[str], fits: Callable[[Row, list[str]], bool]
    ) -> None:
        """Count one case; an arguable one only has to come back at all."""
        if row.expected == "arguable":
            self.arguable += 1
            return
        self.scored += 1
        right = verdict == row.expected
        self.verdicts += right
        reason = right and (row.expected == "valid" or fits(row, codes))
        self.reasons += reason
        if not reason:
            self.wrong.append(f"{row.case}: expected {row.expected} ({row.reason}), got {verdict} {codes}")

    def close(self) -> None:
        """Print the figures; fail on any wrong one."""
        print(
            f"\n{self.family}: right verdict {self.verdicts}/{self.scored}, right reason "
            f"{self.reasons}/{self.scored}, arguable without crash {self.arguable}"
        )
        assert not self.wrong, "\n".join(self.wrong)
        assert self.scored, "no row was scored"
