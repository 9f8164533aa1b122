"""Figures for Prometheus, in its text format."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from dashboard.pages.overview import nightly_run_of
from dashboard.pages.stores import StoreLine, store_lines
from dashboard.sources import Sources
from pipeline.intake import NightlyState

__all__ = ["metrics_text"]


def metrics_text(sources: Sources) -> str:
    """All figures, now."""
    return "\n".join([*_holdings(sources), *_night(sources), *_stores(store_lines(sources)), ""])


def _holdings(sources: Sources) -> Iterator[str]:
    aips, files, size = sources.catalogue.aips.totals()
    yield from _figure("stele_aips", "gauge", "AIPs kept.", [("", aips)])
    yield from _figure("stele_files", "gauge", "Content files kept.", [("", files)])
    yield from _figure("stele_content_bytes", "gauge", "Bytes of content kept.", [("", size)])
    waiting = [
        (f'{{outcome="{name}"}}', sources.catalogue.submissions.count(name))
        for name in ("in-review", "failed", "running")
    ]
    yield from _figure("stele_submissions", "gauge", "Submissions that wait, failed or run.", waiting)
    dead = len(sources.catalogue.submissions.interrupted())
    yield from _figure("stele_submissions_dead", "gauge", "Submissions whose process died.", [("", dead)])


def _night(sources: Sources) -> Iterator[str]:
    night = nightly_run_of(sources, next(iter(sources.catalogue.nightly_runs.latest(1)), None))
    good = int(night.state in (NightlyState.ENDED, NightlyState.RUNNING))
    yield from _figure(
        "stele_night_ok", "gauge", "1 while the last nightly run ended in time or runs.", [("", good)]
    )
    if night.finished:
        ended = int(datetime.fromisoformat(night.finished).timestamp())
        help_text = "When the last nightly run ended, seconds since 1970."
        yield from _figure("stele_night_finished_seconds", "gauge", help_text, [("", ended)])
        outcomes = [(f'{{outcome="{name}"}}', number) for name, number in night.outcomes]
        yield from _figure(
            "stele_night_submissions", "gauge", "How the last nightly run's ended.", outcomes
        )


def _stores(lines: tuple[StoreLine, ...]) -> Iterator[str]:
    copies = []
    for line in lines:
        states = dict(line.states) | {"verified": line.verified, "lacking": line.lacking}
        copies += [(f'{{store="{line.name}",state="{s}"}}', n) for s, n in sorted(states.items())]
    yield from _figure("stele_copies", "gauge", "Copies by state; lacking ones were never made.", copies)
    overdue = [(f'{{store="{line.name}"}}', line.overdue) for line in lines]
    yield from _figure("stele_copies_overdue", "gauge", "Copies not verified for too long.", overdue)
    free = [(f'{{store="{line.name}"}}', line.free) for line in lines if line.free is not None]
    yield from _figure("stele_store_free_bytes", "gauge", "Room left on the medium.", free)


def _figure(name: str, kind: str, help_text: str, values: list[tuple[str, int]]) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"
    yield from (f"{name}{labels} {value}" for labels, value in values)
