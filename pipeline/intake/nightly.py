"""One night: deliveries claimed one by one, taken in, and told about in one report."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from packages.package_file import timestamp
from packages.paths import printable
from pipeline.context import Outcome, Result
from pipeline.intake.deliveries import Delivery
from pipeline.intake.fair_order import in_fair_order
from pipeline.intake.intake import RETRIED, Hands, Intake, OneByOne
from storage.errors import StorageError

__all__ = ["NightLimits", "NightReport", "Watch", "run_night", "unwatched"]

_MAX_IGNORED = 20
_SLOWEST = 5
Watch = Callable[[Delivery, Result | None], None]
"""Told of each delivery when it is begun (no result yet) and when it is done."""


def unwatched(_delivery: Delivery, _result: Result | None) -> None:
    """For callers who do not watch."""


@dataclass(frozen=True, slots=True)
class NightLimits:
    """How long a night may be, and how it is shared out."""

    quiet: float = 120.0  # seconds without change after which a delivery counts as whole
    max_seconds: float = 8 * 3600.0  # no delivery is begun after these
    most_of_one: int = 0
    held_again: bool = False  # also what was held, because policy or agreement has changed
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class NightReport:
    """What a night did. ``left`` were whole and not taken; ``arriving`` were not whole yet.

    ``elsewhere`` were claimed by another process that runs now.
    """

    night: str
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
    known: int = 0
    elsewhere: int = 0
    left: int = 0
    arriving: int = 0
    boxes_away: list[str] = field(default_factory=list)
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
        self.slowest = sorted(self.slowest, key=lambda one: -one[1])[:_SLOWEST]
        for code, number in Counter(problem.code for problem in result.problems).items():
            self.problems[code] = self.problems.get(code, 0) + number


def run_night(
    intake: Intake, limits: NightLimits, watch: Watch = unwatched, hands: Hands | None = None
) -> NightReport:
    """Take in what is whole in the drop boxes and was not dealt with yet.

    Several nights may run at once, on one machine or many: each delivery is claimed in the
    catalogue first, and a claim of a dead process is taken over. What a killed night left is
    finished by the next. A box that cannot be looked into is told of and costs the others nothing.
    Raises StoreUnavailable when the catalogue cannot be reached.
    """
    archive, began = intake.archive, time.monotonic()
    catalogue = archive.catalogue
    report = NightReport(str(uuid.uuid4()), timestamp(archive.clock()))
    catalogue.begin_night(report.night, report.started)
    whole = _look_around(intake, limits, report)
    retried = (*RETRIED, str(Outcome.HELD)) if limits.held_again else RETRIED
    done = catalogue.dealt_with([one.fingerprint for one in whole], retried)
    report.known = len(done)
    todo = [one for one in whole if one.fingerprint not in done]

    def in_time() -> Iterator[Delivery]:
        for delivery in in_fair_order(todo, limits.weights, most_of_one=limits.most_of_one):
            if time.monotonic() - began > limits.max_seconds:
                return
            watch(delivery, None)
            yield delivery

    for delivery, result in (hands or OneByOne(intake)).take(in_time(), retried):
        if result is None:
            report.elsewhere += 1
            continue
        report.count(delivery, result)
        watch(delivery, result)
    report.left = len(todo) - sum(report.outcomes.values()) - report.elsewhere
    report.seconds = round(time.monotonic() - began, 3)
    report.finished = timestamp(archive.clock())
    catalogue.finish_night(report.night, report.finished, json.dumps(report.as_json()))
    return report


def _look_around(intake: Intake, limits: NightLimits, report: NightReport) -> list[Delivery]:
    """What is whole in any box."""
    every: list[Delivery] = []
    for name, box in intake.boxes.items():
        try:
            whole, arriving, ignored = box.find(quiet=limits.quiet, now=time.time())
        except (OSError, StorageError) as error:
            report.boxes_away.append(f"{name}: {error}")
            continue
        report.found += len(whole)
        report.arriving += len(arriving)
        report.ignored_count += len(ignored)
        report.ignored += [printable(path) for path in ignored[: _MAX_IGNORED - len(report.ignored)]]
        every += whole
    return every
