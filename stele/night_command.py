"""``stele nightly``: what the schedule runs, once, now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stele.command_parts import EXIT_FAILED, EXIT_INVALID, AsJson, Home, plain_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.agreement import Agreement
    from pipeline.ingest import Archive
    from pipeline.night import Delivery, NightReport
    from stele.settings import Settings


def register(app: typer.Typer) -> None:
    """Add this command to the front door."""
    app.command(epilog="Example: stele nightly --no-audit")(nightly)


def nightly(
    audit: Annotated[bool, typer.Option(help="Also pay owed copies and audit what is due.")] = True,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take in what is whole in the drop box, each once, then pay owed copies and audit what is due.

    Safe to run several times and on several machines at once. Exit 3 when something failed on our
    side, 1 when something was rejected or held.
    """
    from stele.screen import print_json
    from stele.workspace import opened_with_settings
    from storage.scratch import sweep_scratch

    with plain_errors(), opened_with_settings(home) as (archive, settings):
        sweep_scratch(archive.work)
        report = night(archive, settings, quiet=as_json)
        care = _care(archive, settings) if audit else {}
    if as_json:
        print_json({**report.as_json(), **care})
    else:
        _show(report, care)
    failed = report.outcomes.get("failed", 0) or care.get("copies not made", 0) or care.get("unreadable", 0)
    bad = sum(report.outcomes.get(name, 0) for name in ("rejected", "held")) or care.get("damaged", 0)
    raise typer.Exit(EXIT_FAILED if failed else EXIT_INVALID if bad else 0)


def night(archive: Archive, settings: Settings, *, quiet: bool = True) -> NightReport:
    """One night as the workspace configures it."""
    from pipeline.night import NightLimits, run_night
    from stele.wiring import ingest_function

    wanted = settings.night
    limits = NightLimits(wanted.quiet_seconds, wanted.max_hours * 3600, wanted.most_of_one, wanted.weights)
    watch = _quietly if quiet else _told
    return run_night(
        archive, settings.place(settings.dropbox), limits, ingest_function(settings),
        agreements(settings), watch,
    )  # fmt: skip


def agreements(settings: Settings) -> Callable[[str], Agreement]:
    """An agency's own agreement where one has its name, else the default. Raises AgreementError."""
    from stele.wiring import agreement_names, choose_agreement

    known = set(agreement_names(settings))
    chosen: dict[str, Agreement] = {}

    def choose(agency: str) -> Agreement:
        if agency not in chosen:
            chosen[agency] = choose_agreement(settings, agency if agency in known else None)
        return chosen[agency]

    choose("")  # a default that is wrong is said before anything is begun
    return choose


def _quietly(_delivery: Delivery, _result: object) -> None:
    pass


def _told(delivery: Delivery, result: object) -> None:
    from rich.markup import escape

    from packages.paths import printable
    from pipeline.context import Result
    from stele.screen import ERR

    if isinstance(result, Result):
        ERR.print(f"{result.outcome:>10}  {escape(printable(str(delivery.path)))}", soft_wrap=True)


def _care(archive: Archive, settings: Settings) -> dict[str, int]:
    """Owed copies and the audit; how many of what."""
    from pipeline.preservation.audit import audit
    from pipeline.preservation.journal import write_journal
    from pipeline.preservation.replicate import replicate
    from stele.preservation_commands import audit_budget

    counts = {"copies made": 0, "copies not made": 0, "verified": 0, "damaged": 0, "unreadable": 0}
    for done in replicate(archive):
        counts["copies made" if done.made else "copies not made"] += 1
    for seen in audit(archive, audit_budget(settings)):
        state = str(seen.state)
        counts["damaged" if state == "missing" else state] = counts.get(state, 0) + 1
    write_journal(archive)
    return counts


def _show(report: NightReport, care: dict[str, int]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from stele.screen import OUT, size_text

    table = Table("Agency", "Stored", "Duplicate", "Rejected", "Held", "Failed")
    names = ("stored", "duplicate", "rejected", "held", "failed")
    for agency, counts in sorted(report.agencies.items()):
        table.add_row(escape(agency), *(str(counts.get(name, "")) for name in names))
    table.add_section()
    table.add_row("all", *(str(report.outcomes.get(name, 0)) for name in names))
    OUT.print(table)
    OUT.print(
        f"{report.files:,} files, {size_text(report.bytes)} taken in, in {report.seconds:,.1f} s; "
        f"{report.left} left for another night, {report.arriving} still arriving, "
        f"{report.known} dealt with before."
    )
    if care:
        said = ", ".join(f"{number:,} {what}" for what, number in care.items() if number)
        OUT.print(f"Copies: {said or 'nothing was due'}.")
