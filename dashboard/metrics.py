"""Figures for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dashboard.pages.overview import nightly_run_of
from dashboard.pages.stores import StoreLine, store_lines
from dashboard.sources import Sources
from pipeline.intake import NightlyState
from storage.states import AttemptState, CopyState, Outcome

__all__ = ["metrics_text"]


def metrics_text(sources: Sources) -> str:
    """All figures, now, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Figures(sources))
    return generate_latest(registry).decode()


class _Figures(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        yield from _holdings(self._sources)
        yield from _nightly_run(self._sources)
        yield from _stores(store_lines(self._sources))


def _holdings(sources: Sources) -> Iterator[Metric]:
    aips, files, size = sources.catalogue.aips.totals()
    yield GaugeMetricFamily("stele_aips", "AIPs kept.", aips)
    yield GaugeMetricFamily("stele_files", "Content files kept.", files)
    yield GaugeMetricFamily("stele_content_bytes", "Bytes of content kept.", size)
    submissions = sources.catalogue.submissions
    counts = [
        ((name,), submissions.count(name))
        for name in (Outcome.IN_REVIEW, Outcome.FAILED, AttemptState.RUNNING)
    ]
    yield _by("stele_submissions", "Submissions in review, failed or running.", ["outcome"], counts)
    interrupted = len(submissions.interrupted())
    yield GaugeMetricFamily("stele_submissions_interrupted", "Ingests whose process died.", interrupted)


def _nightly_run(sources: Sources) -> Iterator[Metric]:
    run = nightly_run_of(sources, next(iter(sources.catalogue.nightly_runs.latest(1)), None))
    good = int(run.state in (NightlyState.ENDED, NightlyState.RUNNING))
    what = "1 while the last nightly run ended in time or runs."
    yield GaugeMetricFamily("stele_nightly_run_ok", what, good)
    if run.finished:
        ended = int(datetime.fromisoformat(run.finished).timestamp())
        what = "When the last nightly run ended, seconds since 1970."
        yield GaugeMetricFamily("stele_nightly_run_finished_seconds", what, ended)
        counts = [((name,), number) for name, number in run.outcomes]
        what = "How the submissions of the last nightly run ended."
        yield _by("stele_nightly_run_submissions", what, ["outcome"], counts)


def _stores(lines: tuple[StoreLine, ...]) -> Iterator[Metric]:
    copies = []
    for line in lines:
        states = dict(line.states) | {CopyState.VERIFIED: line.verified, "lacking": line.lacking}
        copies += [((line.name, state), number) for state, number in sorted(states.items())]
    what = "Copies by state; lacking ones were never created."
    yield _by("stele_copies", what, ["store", "state"], copies)
    overdue = [((line.name,), line.overdue) for line in lines]
    yield _by("stele_copies_overdue", "Copies whose fixity check is overdue.", ["store"], overdue)
    free = [((line.name,), line.free) for line in lines if line.free is not None]
    yield _by("stele_store_free_bytes", "Room left on the medium.", ["store"], free)


def _by(
    name: str, what: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], int]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=labels)
    for names, number in values:
        family.add_metric(names, number)
    return family
