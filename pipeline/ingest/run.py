"""One submission through all stages, from a path to a stored AIP or a report.

``ingest`` is the one way in, for the command line, a flow and the nightly run; ``check`` judges as it
would, and stores nothing.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from structlog.contextvars import bound_contextvars

from packages.escaping import for_log
from packages.identifiers import IngestId
from packages.package_file import timestamp
from packages.paths import printable
from packages.problems.catalogue import problem
from packages.problems.problem import Problem
from pipeline.agreement import Agreement
from pipeline.archive import Archive, run_context
from pipeline.context import IngestContext, Progress, Result, no_progress
from pipeline.errors import DamagedArchive, PipelineError, SubmissionUnreadable
from pipeline.holdings.leases import LeasedAip, leased_aip
from pipeline.holdings.presence import require_present
from pipeline.ingest.describe import describe
from pipeline.ingest.examine import examine
from pipeline.ingest.progress import recorded
from pipeline.ingest.receipt import write_receipt
from pipeline.ingest.register import register
from pipeline.ingest.sandbox import Judge, judge_apart
from pipeline.ingest.store import TooFewStores, store
from pipeline.ingest.verify import VerifiedSip
from pipeline.review.decisions import apply_decisions
from pipeline.stage_report import StageReport
from storage.errors import Busy, StorageError, StoreUnavailable
from storage.replicas.store import ArchivalStore, Role
from storage.states import AipState, Outcome

_Record = TypeVar("_Record")
_LOG = logging.getLogger(__name__)
__all__ = ["IngestRun", "check", "failed", "ingest", "refused"]


def ingest(
    subject: Path,
    agreement: Agreement,
    archive: Archive,
    progress: Progress = no_progress,
    *,
    shown: str = "",
    judge: Judge = judge_apart,
) -> Result:
    """Take one submission through to custody, or to a report.

    Never raises for what is wrong with the submission, with storage or with a tool: those end as
    ``rejected`` or ``failed``. The submission itself is only ever read. ``shown`` is where it lies
    for people, when it was only brought to ``subject``; ``judge`` receives and verifies it.
    """
    run = IngestRun.begin(shown or str(subject.absolute()), agreement, archive)
    run.shown = shown or printable(str(subject))
    if not subject.exists():  # nothing came, so no submission failed: there is nothing to record
        return run.failure(SubmissionUnreadable(f"there is no file or folder {subject}"))
    try:
        with ExitStack() as stack:
            stack.enter_context(bound_contextvars(**run.facts))
            progress = stack.enter_context(recorded(progress, archive.catalogue, run.shown, archive.clock))
            context = stack.enter_context(
                run_context(subject, agreement, archive, progress, shown=run.shown)
            )
            result = run.take_in(context, judge)
    except Busy as error:  # the other process answers for the submission, and records it
        return run.failure(error)
    except Exception as error:  # even a bug must not cost the rest of the nightly run its turn
        result = run.failure(error)
    return run.report(subject.name, result)


def check(
    subject: Path,
    agreement: Agreement,
    archive: Archive,
    progress: Progress = no_progress,
    *,
    judge: Judge = judge_apart,
) -> Result:
    """Judge a submission as an ingest would, formats included, and store nothing."""
    run = IngestRun.begin(str(subject.absolute()), agreement, archive)
    run.shown = printable(str(subject))
    try:
        with run_context(subject, agreement, archive, progress, shown=run.shown) as context:
            verified = run.judge(context, judge)
            if verified is not None:
                with run.stage("examine"):
                    run.keep(examine(verified, context))
            reasons = run.history.review_reasons
            outcome = Outcome.IN_REVIEW if reasons else Outcome.ACCEPTABLE
            if verified is None or run.history.rejected:
                outcome = Outcome.REJECTED
            return run.result(context, outcome, verified, reasons=reasons)
    except Exception as error:  # as in an ingest: one package's surprise must not cost the others
        return run.failure(error)


def failed(shown: str, agreement: Agreement, archive: Archive, error: Exception) -> Result:
    """The end of a run that could not even judge its subject."""
    return IngestRun.begin(shown, agreement, archive).failure(error)


def refused(shown: str, agreement: Agreement, archive: Archive, found: Problem) -> Result:
    """The end of a run whose subject cannot even be brought here, with its report."""
    run = IngestRun.begin(shown, agreement, archive)
    return run.report(Path(shown).name, run.rejection(found))


@dataclass(slots=True)
class IngestRun:
    """One attempt at one submission: what is known of it, however it ends."""

    shown: str
    """Where the submission lies, for people."""
    agreement: Agreement
    archive: Archive
    ingest_id: IngestId
    provisional_id: IngestId
    """Until the submission says what it is, its place stands for it."""
    history: StageReport
    """Everything the stages have reported so far, in their order."""
    attempt: int = 0
    resumes: bool = False
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds per stage."""
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def begin(cls, place: str, agreement: Agreement, archive: Archive) -> IngestRun:
        """A run of which nothing is known but where its submission lies."""
        first = IngestId.derive(agreement=agreement.name, external_identifier=place, content_digest="")
        history = StageReport(archive.clock, archive.software.agent, uuid.uuid4())
        return cls(place, agreement, archive, first, first, history)

    @property
    def facts(self) -> dict[str, str]:
        """What every line of its log bears."""
        return {
            "submission": self.shown, "agency": self.agreement.agency.name, "flow_run": self.archive.run,
        }  # fmt: skip

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - began

    def keep(self, done: tuple[_Record, StageReport]) -> _Record:
        """The record that a stage came to; what it reported becomes part of the history."""
        record, report = done
        self.history.append(report)
        return record

    # -- the stages, in order ------------------------------------------------------------------------

    def take_in(self, context: IngestContext, judge: Judge) -> Result:
        """Receive and verify; then, under the lease of the AIP it becomes, everything else."""
        _require_stores(self.archive, self.agreement)
        verified = self.judge(context, judge)
        if verified is None or self.history.rejected:
            return self.result(context, Outcome.REJECTED, verified)
        submission = verified.submission
        self.ingest_id = submission.ingest_id
        purpose = f"ingest of {context.subject_name}"
        urn = submission.package_id.urn
        with (
            bound_contextvars(ingest=str(self.ingest_id), aip=urn),
            leased_aip(self.archive, urn, purpose) as leased,
        ):
            self.attempt, self.resumes = leased.archive.catalogue.submissions.begin(
                str(submission.ingest_id), context.shown, self.agreement.name, timestamp(context.clock())
            )
            return self.take_custody(replace(context, attempt=self.attempt), leased, verified)

    def judge(self, context: IngestContext, judge: Judge) -> VerifiedSip | None:
        """The first two stages; None where nothing of the submission could be received."""
        judged = judge(context)
        self.stages.update(judged.seconds)
        self.history.append(judged.report)
        return judged.verified

    def take_custody(self, context: IngestContext, leased: LeasedAip, verified: VerifiedSip) -> Result:
        """From here on the AIP is ours alone: what was judged is described, stored and registered."""
        archive, known = leased.archive, leased.row
        submission, catalogue = verified.submission, archive.catalogue
        urn = submission.package_id.urn
        if known is not None and known.state == AipState.KEPT:
            _require_kept(urn, archive.stores)
            # The run before was interrupted after its work was done: this one tells how that ended.
            outcome = Outcome.STORED if self.resumes else Outcome.DUPLICATE
            return self.result(context, outcome, verified, aip=urn, version=known.version)
        if known is not None:
            self.history.add(problem("AGREE-REMOVED", found=known.state))
            self.history.ask_review(f"the archive has removed these records before ({known.state})")
        with self.stage("examine"):
            examined = self.keep(examine(verified, context))
        decisions = catalogue.decisions.of(str(submission.ingest_id))
        reasons = self.keep(apply_decisions(self.history.review_reasons, decisions, context))
        if self.history.rejected:  # a format the agreement refuses, or an archivist
            return self.result(context, Outcome.REJECTED, verified)
        if reasons:
            return self.result(context, Outcome.IN_REVIEW, verified, reasons=reasons)
        with self.stage("describe"):
            planned = self.keep(describe(examined, self.history, context))
        with self.stage("store"):
            stored = self.keep(store(planned, archive.stores, context))
        with self.stage("register"):
            register(stored, self.history, catalogue, context)
        return self.result(context, Outcome.STORED, verified, aip=urn, version=stored.version)

    # -- how it ends ---------------------------------------------------------------------------------

    def result(
        self,
        context: IngestContext,
        outcome: Outcome,
        verified: VerifiedSip | None,
        *,
        reasons: tuple[str, ...] = (),
        aip: str | None = None,
        version: str | None = None,
    ) -> Result:
        """An end that the stages came to; ``reasons`` are those for a review."""
        in_review = outcome is Outcome.IN_REVIEW
        return replace(
            self._end(outcome),
            subject=context.shown,
            aip=aip,
            version=version,
            files=verified.submission.files if verified else 0,
            bytes=verified.submission.bytes if verified else 0,
            problems=self.history.findings.all(),
            finished=context.clock(),
            reason="; ".join(reasons[:20]) if in_review else "",
            review_reasons=reasons if in_review else (),
        )

    def rejection(self, found: Problem) -> Result:
        """An end before the first stage, for the agency to act on."""
        return replace(self._end(Outcome.REJECTED), problems=(found,))

    def failure(self, error: Exception) -> Result:
        """An end that is ours to act on; a bug leaves its traceback in the log."""
        reason = str(error)
        if not isinstance(error, (PipelineError, StorageError, OSError)):
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            reason = f"unexpected {type(error).__name__} in {place}: {error}; please report this"
            _LOG.error("unexpected error while %s was taken in", for_log(self.shown), exc_info=error)
        if isinstance(error, OSError):
            reason = f"{error.strerror or error} ({error.filename or self.shown})"
        return replace(self._end(Outcome.FAILED), reason=reason)

    def _end(self, outcome: Outcome) -> Result:
        return Result(
            subject=self.shown, outcome=outcome, aip=None, version=None, files=0, bytes=0, problems=(),
            stages=dict(self.stages), seconds=time.perf_counter() - self.started,
            agreement=self.agreement.name, finished=self.archive.clock(),
        )  # fmt: skip

    def report(self, name: str, result: Result) -> Result:
        """The result in the catalogue, and as a receipt; both durable."""
        end = {
            "outcome": str(result.outcome), "aip": result.aip, "ingest": str(self.ingest_id),
            "files": result.files, "bytes": result.bytes, "seconds": round(result.seconds, 3),
            "reason": result.reason,
        }  # fmt: skip
        _LOG.info("ingest ended", extra={**self.facts, **end})
        moment = f"{result.finished:%Y%m%dT%H%M%SZ}"
        receipt = f"{printable(name)[:60]}-{moment}-{secrets.token_hex(3)}-{result.outcome}"
        # The receipt first: a run that is killed in between is taken up again, and writes another one.
        try:
            result = write_receipt(result, self.agreement, self.archive.receipts, receipt)
        except (OSError, ValueError) as error:  # what is kept is kept, with or without a receipt
            reason = f"{result.reason} The receipt could not be written: {error}".strip()
            result = replace(result, reason=reason)
        try:
            self._record(result)
        except StorageError as error:
            if result.aip is None:
                return self.failure(error)
        return result

    def _record(self, result: Result) -> None:
        self.archive.catalogue.submissions.finish(
            str(self.ingest_id),
            subject=result.subject,
            agreement=self.agreement.name,
            outcome=str(result.outcome),
            aip=result.aip,
            now=timestamp(result.finished),
            report=json.dumps(result.as_json()),
            agency=self.agreement.agency.name,
            run=self.archive.run,
            reason=result.reason,
            receipt=result.receipt or "",
            attempt=self.attempt,
            supersedes_id=str(self.provisional_id),
        )


def _require_stores(archive: Archive, agreement: Agreement) -> None:
    """Before hours are spent on receiving: are there enough stores, and is every required one there?

    One that should hold copies and has not even a storage root is an unmounted disk or a mistyped
    bucket; writing to it would hide that. Raises StoreUnavailable, StoreRefused, TooFewStores.
    """
    if agreement.required_copies > len(archive.stores):
        raise TooFewStores(
            f"agreement “{agreement.name}” requires {agreement.required_copies} copies, but only "
            f"{len(archive.stores)} store(s) are configured; add stores or change the agreement"
        )
    for one in archive.stores:
        try:
            require_present(one, archive.catalogue)
        except StoreUnavailable:
            if one.role is Role.REQUIRED:
                raise  # what a secondary one lacks is pending


def _require_kept(urn: str, stores: Sequence[ArchivalStore]) -> None:
    """What the catalogue says is kept must be there; one small question to each required store.

    Sending records again is no way to repair a copy: a copy may have later versions, and repair
    knows where good bytes are. Raises DamagedArchive.
    """
    for one in stores:
        if one.role is Role.REQUIRED and not one.repository.holds(urn):
            raise DamagedArchive(
                f"store “{one.name}” has lost or never got {urn}, which the archive keeps; "
                "run “stele audit”, “stele store repair” or “stele store replicate”"
            )
