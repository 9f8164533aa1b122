"""Every part of the pages once, with odd values: to look at after a change of style."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.charts import Chart, area, bars
from storage.states import AttemptState, CopyState, Outcome

__all__ = ["PatternsPage", "patterns_page"]


@dataclass(frozen=True, slots=True)
class PatternsPage:
    """The parts."""

    states: tuple[str, ...]
    growth: Chart
    ages: Chart
    hostile: tuple[str, ...]


def patterns_page() -> PatternsPage:
    """Made up on purpose; nothing of the archive."""
    return PatternsPage(
        (
            *(str(one) for one in Outcome if one is not Outcome.ACCEPTABLE), str(AttemptState.RUNNING),
            *(str(one) for one in CopyState), "low", "medium", "high", "success", "warning",
            "failure", "ended", "died", "late", "never",
        ),
        area([("2026-01", 10), ("2026-02", 40), ("2026-03", 45), ("2026-04", 90)]),
        bars([("≤ 7", 40, ""), ("8–30", 90, ""), ("31–60", 0, ""), ("> 365", 3, "late")]),
        (
            "<script>alert(1)</script>", "\u202egnp.exe", "𠮷野家".ljust(12, "字"), "x" * 300,
            "a\nb", "👩‍🚀 🏳️‍🌈",
        ),
    )  # fmt: skip
