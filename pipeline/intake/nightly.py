"""One nightly run: deliveries claimed one by one, taken in, and told about in one report."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from packages.package_file import timestamp
from packages.paths import printable
from pipeline.context import Result
from pipeline.intake.deliveries import Delivery
from pipeline.intake.fair_order import in_fair_order
from pipeline.intake.intake import RETRIED, Executor, Intake, SerialExecutor
from storage.errors import StorageError
from storage.states import Outcome

__all__ = ["NightlyLimits", "NightlyReport", "Watch", "run_nightly", "unwatched"]

_MAX_IGNORED = 20
_LOG = logging.getLogger(__name__)
_MAX_SLOWEST_SHOWN = 5
Watch = Callable[[Delivery, Result | None], None]
"""Told of each delivery when it is begun (no result yet) and when it is done."""


def unwatched(_delivery: Delivery, _result: Result | None) -> None:
    """For callers who do not watch."""


@dataclass(frozen=True, slots=True)
class NightlyLimits:
    """How long a nightly run may be, and how it is shared out."""

    quiet: float = 120.0  # seconds without change after which a delivery is complete
    max_seconds: float = 8 * 3600.0  # no delivery is started after these
    max_per_agency: int = 0
    retry_in_review: bool = False  # also what is in review, because policy or agreement has changed
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class NightlyReport:
    """What a nightly run did. ``not_started`` were complete and not ingested before the time limit;
    ``arriving`` were not complete yet.

    ``claimed_elsewhere`` were claimed by another process that runs now.
    """

    nightly_run: str
    started: str
    finished: str = ""
    seconds: float = 0.0
    found: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    agencies: dict[str, dict[str, int]] = field(default_factory=dict)
    slowest: list[tuple[str, float]] = field(default_factory=list)
    problems: dict[str, int] = field(default_factory=dict)
    already_processed: int = 0
    claimed_elsewhere: int = 0
    not_started: int = 0
    arriving: int = 0
    unreachable_boxes: list[str] = field(default_factory=list)
    """Drop boxes that could not be looked into, each with the reason."""
    ignored_count: int = 0
    ignored: list[str] = field(default_factory=list)
    """The first of what lies in drop boxes and is no delivery: links, hidden files, files of systems."""

    def as_json(self) -> dict[str, object]:
        """Stable keys."""
        return asdict(self)

    def count(self, delivery: Delivery, result: Result) -> None:
        """One delivery more."""
        outcome = str(result.outcome)
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        of_agency = self.agencies.setdefault(delivery.agency or "(none)", {})
        of_agency[outcome] = of_agency.get(outcome, 0) + 1
        if result.outcome is Outcome.STORED:
            self.files += result.files
            self.bytes += result.bytes
        self.slowest.append((printable(delivery.place), round(result.seconds, 3)))
        self.slowest = sorted(self.slowest, key=lambda one: -one[1])[:_MAX_SLOWEST_SHOWN]
        for code, number in Counter(problem.code for problem in result.problems).items():
            self.problems[code] = self.problems.get(code, 0) + number


def run_nightly(
    intake: Intake, limits: NightlyLimits, watch: Watch = unwatched, executor: Executor | None = None
) -> NightlyReport:
    """Ingest what is complete in the drop boxes and was not processed yet.

    Several nightly runs may run at once, on one machine or many: each delivery is claimed in the
    catalogue first, and a claim of a dead process is taken over. The next run resumes a killed
    one. A box that cannot be read is reported and costs the others nothing.
    Raises StoreUnavailable when the catalogue cannot be reached.
    """
    archive, began = intake.archive, time.monotonic()
    catalogue = archive.catalogue
    report = NightlyReport(str(uuid.uuid4()), timestamp(archive.clock()))
    catalogue.nightly_runs.begin(report.nightly_run, report.started)
    whole = _scan_boxes(intake, limits, report)
    retried = (*RETRIED, str(Outcome.IN_REVIEW)) if limits.retry_in_review else RETRIED
    done = catalogue.deliveries.already_processed([one.fingerprint for one in whole], retried)
    report.already_processed = len(done)
    todo = [one for one in whole if one.fingerprint not in done]

    def in_time() -> Iterator[Delivery]:
        for delivery in in_fair_order(todo, limits.weights, max_per_agency=limits.max_per_agency):
            if time.monotonic() - began > limits.max_seconds:
                return
            watch(delivery, None)
            yield delivery

    for delivery, result in (executor or SerialExecutor(intake)).take(in_time(), retried):
        if result is None:
            report.claimed_elsewhere += 1
            continue
        report.count(delivery, result)
        watch(delivery, result)
    report.not_started = len(todo) - sum(report.outcomes.values()) - report.claimed_elsewhere
    report.seconds = round(time.monotonic() - began, 3)
    report.finished = timestamp(archive.clock())
    catalogue.nightly_runs.finish(report.nightly_run, report.finished, json.dumps(report.as_json()))
    counts = {"outcomes": report.outcomes, "not_started": report.not_started, "seconds": report.seconds}
    _LOG.info("nightly run ended", extra={"nightly_run": report.nightly_run, **counts})
    return report


def _scan_boxes(intake: Intake, limits: NightlyLimits, report: NightlyReport) -> list[Delivery]:
    """What is whole in any box."""
    every: list[Delivery] = []
    for name, box in intake.boxes.items():
        try:
            whole, arriving, ignored = box.find(quiet=limits.quiet, now=time.time())
        except (OSError, StorageError) as error:
            report.unreachable_boxes.append(f"{name}: {error}")
            continue
        report.found += len(whole)
        report.arriving += len(arriving)
        report.ignored_count += len(ignored)
        report.ignored += [printable(path) for path in ignored[: _MAX_IGNORED - len(report.ignored)]]
        every += whole
    return every
