"""``stele nightly``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from packages.paths import printable
from packages.sizes import size_text
from pipeline.context import Result
from pipeline.intake import Delivery, NightlyReport
from stele.cli.options import EXIT_FAILED, EXIT_INVALID, AsJson, Home, plain_errors
from stele.cli.output import ERR, OUT, data, print_json
from stele.nightly import care_for_copies, night
from stele.nightly_report import send_report
from stele.workspace import opened_with_settings
from storage.scratch import sweep_scratch
from storage.states import CopyState, Outcome

EXAMPLE = "stele nightly --no-audit"


def command(
    audit: Annotated[bool, typer.Option(help="Also create pending copies and audit.")] = True,
    retry_in_review: Annotated[
        bool,
        typer.Option(help="Take deliveries in review again: policy or agreement has changed."),
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ingest what is complete in the drop boxes, each once; create pending copies; audit what is due.

    Safe to run several times and on several machines at once. Exit 3 when something failed on our
    side, 1 when something was rejected or needs review.
    """
    with plain_errors(), opened_with_settings(home) as (archive, settings):
        sweep_scratch(archive.work)
        report = night(archive, settings, _quietly if as_json else _told, retry_in_review=retry_in_review)
        care = care_for_copies(archive, settings) if audit else {}
        unsent = send_report({**report.as_json(), **care}, settings)
    if unsent:
        ERR.print(unsent, markup=False, soft_wrap=True)
    if as_json:
        print_json({**report.as_json(), **care})
    else:
        _show(report, care)
    failed = (
        report.unreachable_boxes
        or report.outcomes.get(Outcome.FAILED, 0)
        or care.get("copies not made", 0)
        or care.get(CopyState.UNREADABLE, 0)
    )
    bad = sum(report.outcomes.get(name, 0) for name in (Outcome.REJECTED, Outcome.IN_REVIEW)) or care.get(
        CopyState.DAMAGED, 0
    )
    raise typer.Exit(EXIT_FAILED if failed else EXIT_INVALID if bad else 0)


def _quietly(_delivery: Delivery, _result: object) -> None:
    pass


def _told(delivery: Delivery, result: object) -> None:
    if isinstance(result, Result):
        ERR.print(f"{result.outcome:>10}  {data(printable(delivery.place))}", soft_wrap=True)


def _show(report: NightlyReport, care: dict[str, int]) -> None:
    table = Table("Agency", "Stored", "Duplicate", "Rejected", "In review", "Failed")
    names = (Outcome.STORED, Outcome.DUPLICATE, Outcome.REJECTED, Outcome.IN_REVIEW, Outcome.FAILED)
    for agency, counts in sorted(report.agencies.items()):
        table.add_row(data(agency), *(str(counts.get(name, "")) for name in names))
    table.add_section()
    table.add_row("all", *(str(report.outcomes.get(name, 0)) for name in names))
    OUT.print(table)
    OUT.print(
        f"{report.files:,} files, {size_text(report.bytes)} taken in, in {report.seconds:,.1f} s; "
        f"{report.not_started} not started before the time limit, {report.arriving} still arriving, "
        f"{report.already_processed} processed before."
    )
    for path in report.ignored:
        OUT.print(f"Not a delivery, left alone: {data(path)}", soft_wrap=True)
    if report.ignored_count > len(report.ignored):
        OUT.print(f"… and {report.ignored_count - len(report.ignored):,} more")
    if care:
        said = ", ".join(f"{number:,} {what}" for what, number in care.items() if number)
        OUT.print(f"Copies: {said or 'nothing was due'}.")
