"""Nights: the last ones, and what each did."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dashboard.pages.overview import NightlyRun, nightly_run_of
from dashboard.sources import Sources

__all__ = ["NightlyRunPage", "NightlyRunsPage", "nightly_run_page", "nightly_runs_page"]


@dataclass(frozen=True, slots=True)
class NightlyRunsPage:
    """The last nightly runs, newest first."""

    nightly_runs: tuple[NightlyRun, ...]


def nightly_runs_page(sources: Sources) -> NightlyRunsPage:
    """Build the page."""
    rows = sources.catalogue.nightly_runs.latest(60)
    runs = [nightly_run_of(sources, row, newest=n == 0) for n, row in enumerate(rows)]
    return NightlyRunsPage(tuple(runs))


@dataclass(frozen=True, slots=True)
class NightlyRunPage:
    """One nightly run's report."""

    nightly_run: NightlyRun
    agencies: tuple[tuple[str, dict[str, int]], ...]
    slowest: tuple[tuple[str, float], ...]
    problems: tuple[tuple[str, int], ...]


def nightly_run_page(sources: Sources, number: str) -> NightlyRunPage | None:
    """Build the page; None where there is none."""
    row = next((one for one in sources.catalogue.nightly_runs.latest(400) if one.id == number), None)
    if row is None:
        return None
    report: dict[str, Any] = json.loads(row.report or "{}")
    return NightlyRunPage(
        nightly_run_of(sources, row, newest=False), tuple(sorted(report.get("agencies", {}).items())),
        tuple((str(path), float(seconds)) for path, seconds in report.get("slowest", ())),
        tuple(sorted(report.get("problems", {}).items(), key=lambda one: (-one[1], one[0]))),
    )  # fmt: skip
