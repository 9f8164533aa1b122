"""Holdings: how much is kept, how it grew, whose it is, in which formats."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.charts import Chart, area
from dashboard.sources import Sources
from pipeline.formats.report import FormatLine, format_report
from storage.catalogue import TallyRow

__all__ = ["HoldingsPage", "holdings_page"]

_RISKS = {"high": 0, "medium": 1, "low": 2}
_MAX_SHOWN = 200


@dataclass(frozen=True, slots=True)
class HoldingsPage:
    """Sums over everything that is kept."""

    aips: int
    files: int
    bytes: int
    growth: Chart
    months: tuple[TallyRow, ...]
    agencies: tuple[TallyRow, ...]
    formats: tuple[FormatLine, ...]
    more_formats: int


def holdings_page(sources: Sources) -> HoldingsPage:
    """Build the page."""
    catalogue = sources.catalogue
    months = catalogue.aips.tallies("month")
    total, points = 0, []
    for month in months:
        total += month.bytes
        points.append((month.name, total))
    formats = sorted(
        format_report(catalogue, sources.policy), key=lambda line: (_RISKS[line.risk], -line.bytes)
    )
    agencies = sorted(catalogue.aips.tallies("agency"), key=lambda row: (-row.bytes, row.name))
    return HoldingsPage(
        *catalogue.aips.totals(), area(points), months[-24:][::-1], tuple(agencies),
        tuple(formats[:_MAX_SHOWN]),
        max(len(formats) - _MAX_SHOWN, 0),
    )  # fmt: skip
