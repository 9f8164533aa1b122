"""One night: deliveries claimed one by one, taken in, and told about in one report."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from packages.package_file import timestamp
from packages.paths import printable
from pipeline.agreement import Agreement, AgreementError
from pipeline.context import Outcome, Progress, Result, no_progress
from pipeline.ingest import Archive, failed
from pipeline.night.deliveries import Delivery, find_deliveries
from pipeline.night.fairness import in_fair_order

__all__ = ["NightLimits", "NightReport", "Watch", "run_night", "unwatched"]

RETRIED = (str(Outcome.FAILED), "decided")
"""Outcomes after which a delivery is taken again: what is our fault, and what somebody decided."""
_SLOWEST = 5
Ingest = Callable[[Path, Agreement, Archive, Progress], Result]
ChooseAgreement = Callable[[str], Agreement]
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
        self.slowest.append((printable(str(delivery.path)), round(result.seconds, 3)))
        self.slowest = sorted(self.slowest, key=lambda one: -one[1])[:_SLOWEST]
        for code, number in Counter(problem.code for problem in result.problems).items():
            self.problems[code] = self.problems.get(code, 0) + number


def run_night(
    archive: Archive,
    dropbox: Path,
    limits: NightLimits,
    ingest: Ingest,
    agreement_for: ChooseAgreement,
    watch: Watch = unwatched,
) -> NightReport:
    """Take in what is whole in the drop box and was not dealt with yet.

    Several nights may run at once, on one machine or many: each delivery is claimed in the
    catalogue first, and a claim of a dead process is taken over. What a killed night left is
    finished by the next. Raises OSError when the drop box cannot be read, StoreUnavailable when
    the catalogue cannot.
    """
    catalogue, began = archive.catalogue, time.monotonic()
    report = NightReport(str(uuid.uuid4()), timestamp(archive.clock()))
    whole, arriving = find_deliveries(dropbox, quiet=limits.quiet, now=time.time())
    catalogue.begin_night(report.night, report.started)
    report.found, report.arriving = len(whole), len(arriving)
    retried = (*RETRIED, str(Outcome.HELD)) if limits.held_again else RETRIED
    done = catalogue.dealt_with([one.fingerprint for one in whole], retried)
    report.known = len(done)
    todo = [one for one in whole if one.fingerprint not in done]
    for delivery in in_fair_order(todo, limits.weights, most_of_one=limits.most_of_one):
        if time.monotonic() - began > limits.max_seconds:
            break
        if not _claim(archive, delivery, retried):
            report.elsewhere += 1
            continue
        watch(delivery, None)
        result = _take_in(archive, delivery, ingest, agreement_for)
        report.count(delivery, result)
        watch(delivery, result)
    report.left = len(todo) - sum(report.outcomes.values()) - report.elsewhere
    report.seconds = round(time.monotonic() - began, 3)
    report.finished = timestamp(archive.clock())
    catalogue.finish_night(report.night, report.finished, json.dumps(report.as_json()))
    return report


def _claim(archive: Archive, delivery: Delivery, retried: Collection[str]) -> bool:
    return archive.catalogue.claim_delivery(
        delivery.fingerprint, printable(str(delivery.path)), delivery.agency,
        timestamp(archive.clock()), retry=retried,
    )  # fmt: skip


def _take_in(
    archive: Archive, delivery: Delivery, ingest: Ingest, agreement_for: ChooseAgreement
) -> Result:
    try:
        result = ingest(delivery.path, agreement_for(delivery.agency), archive, no_progress)
    except AgreementError as error:  # one agency's mistake must not cost the others their night
        result = failed(delivery.path, agreement_for(""), archive, error)
    reason = result.reason or "; ".join(_first_errors(result))
    archive.catalogue.finish_delivery(
        delivery.fingerprint, str(result.outcome), result.aip, timestamp(archive.clock()), reason
    )
    return result


def _first_errors(result: Result) -> Iterator[str]:
    for problem in result.problems[:5]:
        if problem.severity == "error":
            yield f"{problem.code}: {problem.for_operator}"
