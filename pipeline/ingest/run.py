"""One submission through all stages. Flows and the command line both call this, or its parts."""

from __future__ import annotations

import json
import logging
import secrets
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from packages.escaping import for_log
from packages.identifiers import IngestId
from packages.package_file import timestamp
from packages.paths import printable
from packages.problems.catalogue import problem
from packages.problems.problem import Problem
from pipeline.agreement import Agreement
from pipeline.archive import Archive, run_context
from pipeline.context import (
    IngestContext,
    Outcome,
    Progress,
    Result,
    no_progress,
)
from pipeline.errors import DamagedArchive, PipelineError, SubmissionUnreadable
from pipeline.holdings.leases import LeasedAip, leased_aip
from pipeline.holdings.presence import require_present
from pipeline.ingest.describe import describe
from pipeline.ingest.examine import examine
from pipeline.ingest.progress import recorded
from pipeline.ingest.receipt import receipt_path, write_receipt
from pipeline.ingest.register import register
from pipeline.ingest.sandbox import Judge, judge_apart
from pipeline.ingest.store import TooFewStores, store
from pipeline.ingest.verify import VerifiedSip
from pipeline.review.decisions import apply_decisions
from storage.errors import Busy, StorageError, StoreUnavailable
from storage.replicas.store import ArchivalStore, Role

_LOG = logging.getLogger(__name__)
__all__ = ["check", "failed", "ingest", "refused"]


@dataclass(slots=True)
class _Run:
    """What is known of a run, however it ends: the submission's id and the seconds per stage."""

    ingest_id: IngestId
    provisional_id: IngestId
    attempt: int = 0
    resumes: bool = False
    stages: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.perf_counter() - began

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


def failed(shown: str, agreement: Agreement, archive: Archive, error: Exception) -> Result:
    """The end of a run that could not even judge its subject."""
    return _failure(shown, agreement, archive, _begin(shown, agreement), error)


def refused(shown: str, agreement: Agreement, archive: Archive, found: Problem) -> Result:
    """The end of a run whose subject cannot even be brought here, with its report."""
    run = _begin(shown, agreement)
    blank = _failure(shown, agreement, archive, run, PipelineError(""))
    result = replace(blank, outcome=Outcome.REJECTED, problems=(found,), reason="")
    return _reported(Path(shown).name, agreement, archive, run, result)


def _begin(place: str, agreement: Agreement) -> _Run:
    """Until the submission says what it is, its place stands for it."""
    first = IngestId.derive(agreement=agreement.name, external_identifier=place, content_digest="")
    return _Run(first, first)


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
    for people, when it was only brought to ``subject``.
    """
    run = _begin(shown or str(subject.absolute()), agreement)
    shown = shown or printable(str(subject))
    if not subject.exists():  # nothing came, so no submission failed: there is nothing to record
        missing = SubmissionUnreadable(f"there is no file or folder {subject}")
        return _failure(shown, agreement, archive, run, missing)
    try:
        with ExitStack() as stack:
            progress = stack.enter_context(recorded(progress, archive.catalogue, shown, archive.clock))
            context = stack.enter_context(run_context(subject, agreement, archive, progress, shown=shown))
            result = _run(context, archive, run, judge)
    except Busy as error:  # the other process answers for the submission, and records it
        return _failure(shown, agreement, archive, run, error)
    except Exception as error:  # even a bug must not cost the rest of the nightly run its run
        result = _failure(shown, agreement, archive, run, error)
    return _reported(subject.name, agreement, archive, run, result)


def _reported(name: str, agreement: Agreement, archive: Archive, run: _Run, result: Result) -> Result:
    """The result in the catalogue, and as a receipt; both durable."""
    moment = f"{result.finished:%Y%m%dT%H%M%SZ}"
    receipt = f"{printable(name)[:60]}-{moment}-{secrets.token_hex(3)}-{result.outcome}"
    try:
        _record(run, result, agreement, archive, receipt)
    except StorageError as error:
        if result.aip is None:
            result = _failure(result.subject, agreement, archive, run, error)
    try:
        return write_receipt(result, agreement, archive.receipts, receipt)
    except (OSError, ValueError) as error:  # what is kept is kept, with or without a paper
        return replace(result, reason=f"{result.reason} The receipt could not be written: {error}".strip())


def _record(run: _Run, result: Result, agreement: Agreement, archive: Archive, receipt: str) -> None:
    """How it ended, for whoever asks tomorrow."""
    archive.catalogue.submissions.finish(
        str(run.ingest_id),
        subject=result.subject,
        agreement=agreement.name,
        outcome=str(result.outcome),
        aip=result.aip,
        now=timestamp(result.finished),
        report=json.dumps(result.as_json()),
        agency=agreement.agency.name,
        run=archive.run,
        reason=result.reason,
        receipt=str(receipt_path(archive.receipts, receipt)),
        attempt=run.attempt,
        supersedes_id=str(run.provisional_id),
    )


def _run(context: IngestContext, archive: Archive, run: _Run, judge: Judge) -> Result:
    _require_stores(archive, context.agreement)
    verified = _judge(context, judge, run)
    if verified is None or context.rejected:
        return _result(context, run, Outcome.REJECTED, verified)
    submission = verified.submission
    run.ingest_id = submission.ingest_id
    with leased_aip(archive, submission.package_id.urn, f"ingest of {context.subject_name}") as leased:
        run.attempt, run.resumes = leased.archive.catalogue.submissions.begin(
            str(submission.ingest_id),
            context.shown,
            context.agreement.name,
            timestamp(context.clock()),
        )
        context.attempt = run.attempt
        return _take_custody(context, leased, run, verified)


def _take_custody(context: IngestContext, leased: LeasedAip, run: _Run, verified: VerifiedSip) -> Result:
    """From here on the AIP is ours alone: what was judged is described, stored and registered."""
    archive, known = leased.archive, leased.row
    submission, catalogue = verified.submission, archive.catalogue
    urn = submission.package_id.urn
    if known is not None and known.state == "kept":
        _require_kept(urn, archive.stores)
        # The run before was interrupted after its work was done: this one tells how that ended.
        outcome = Outcome.STORED if run.resumes else Outcome.DUPLICATE
        return _result(context, run, outcome, verified, aip=urn, version=known.version)
    if known is not None:
        context.add(problem("AGREE-REMOVED", found=known.state))
        context.ask_review(f"the archive has removed these records before ({known.state})")
    with run.stage("examine"):
        examined = examine(verified, context)
    apply_decisions(context, catalogue.decisions.of(str(submission.ingest_id)))
    if context.rejected:  # a format the agreement refuses, or an archivist
        return _result(context, run, Outcome.REJECTED, verified)
    if context.review_reasons:
        return _result(context, run, Outcome.IN_REVIEW, verified)
    with run.stage("describe"):
        planned = describe(examined, context)
    with run.stage("store"):
        stored = store(planned, archive.stores, context)
    with run.stage("register"):
        register(stored, catalogue, context)
    return _result(context, run, Outcome.STORED, verified, aip=urn, version=stored.version)


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


def _judge(context: IngestContext, judge: Judge, run: _Run) -> VerifiedSip | None:
    judged = judge(context)
    run.stages.update(judged.seconds)
    return judged.verified


def check(
    subject: Path,
    agreement: Agreement,
    archive: Archive,
    progress: Progress = no_progress,
    *,
    judge: Judge = judge_apart,
) -> Result:
    """Judge a submission as an ingest would, formats included, and store nothing."""
    run = _begin(str(subject.absolute()), agreement)
    shown = printable(str(subject))
    try:
        with run_context(subject, agreement, archive, progress, shown=shown) as context:
            verified = _judge(context, judge, run)
            if verified is not None:
                with run.stage("examine"):
                    examine(verified, context)
            outcome = Outcome.IN_REVIEW if context.review_reasons else Outcome.ACCEPTABLE
            if verified is None or context.rejected:
                outcome = Outcome.REJECTED
            return _result(context, run, outcome, verified)
    except Exception as error:  # as in an ingest: one package's surprise must not cost the others
        return _failure(shown, agreement, archive, run, error)


def _result(
    context: IngestContext,
    run: _Run,
    outcome: Outcome,
    verified: VerifiedSip | None,
    *,
    aip: str | None = None,
    version: str | None = None,
) -> Result:
    return Result(
        subject=context.shown,
        outcome=outcome,
        aip=aip,
        version=version,
        files=verified.submission.files if verified else 0,
        bytes=verified.submission.bytes if verified else 0,
        problems=context.findings.all(),
        stages=dict(run.stages),
        seconds=run.seconds,
        agreement=context.agreement.name,
        finished=context.clock(),
        reason="; ".join(context.review_reasons[:20]) if outcome is Outcome.IN_REVIEW else "",
        review_reasons=tuple(context.review_reasons) if outcome is Outcome.IN_REVIEW else (),
    )


def _failure(shown: str, agreement: Agreement, archive: Archive, run: _Run, error: Exception) -> Result:
    reason = str(error)
    if not isinstance(error, (PipelineError, StorageError, OSError)):
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        reason = f"unexpected {type(error).__name__} in {place}: {error}; please report this"
        _LOG.error("unexpected error while %s was taken in", for_log(shown), exc_info=error)
    if isinstance(error, OSError):
        reason = f"{error.strerror or error} ({error.filename or shown})"
    return Result(
        subject=shown,
        outcome=Outcome.FAILED,
        aip=None,
        version=None,
        files=0,
        bytes=0,
        problems=(),
        stages=dict(run.stages),
        seconds=run.seconds,
        agreement=agreement.name,
        finished=archive.clock(),
        reason=reason,
    )
