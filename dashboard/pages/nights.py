"""Nights: the last ones, and what each did."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dashboard.pages.morning import Night, night_of
from dashboard.sources import Sources

__all__ = ["NightPage", "NightsPage", "night_page", "nights_page"]


@dataclass(frozen=True, slots=True)
class NightsPage:
    """The last nights, newest first."""

    nights: tuple[Night, ...]


def nights_page(sources: Sources) -> NightsPage:
    """Ask for it."""
    rows = sources.catalogue.nights(60)
    nights = [night_of(sources, row, newest=n == 0) for n, row in enumerate(rows)]
    return NightsPage(tuple(nights))


@dataclass(frozen=True, slots=True)
class NightPage:
    """One night's report."""

    night: Night
    agencies: tuple[tuple[str, dict[str, int]], ...]
    slowest: tuple[tuple[str, float], ...]
    problems: tuple[tuple[str, int], ...]


def night_page(sources: Sources, number: str) -> NightPage | None:
    """Ask for it; None where there is none."""
    row = next((one for one in sources.catalogue.nights(400) if one.id == number), None)
    if row is None:
        return None
    report: dict[str, Any] = json.loads(row.report or "{}")
    return NightPage(
        night_of(sources, row, newest=False), tuple(sorted(report.get("agencies", {}).items())),
        tuple((str(path), float(seconds)) for path, seconds in report.get("slowest", ())),
        tuple(sorted(report.get("problems", {}).items(), key=lambda one: (-one[1], one[0]))),
    )  # fmt: skip
