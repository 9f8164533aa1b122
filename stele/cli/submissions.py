"""``stele submissions``: what came, and what became of it; ``stele search``: what is kept."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipeline.context import Outcome
from stele.cli.options import EXIT_USAGE, AsJson, Home, fail, only_one, plain_errors

submissions_app = typer.Typer(no_args_is_help=True, help="What came, and what became of it.")


def register(app: typer.Typer) -> None:
    """Add these commands to the front door."""
    app.add_typer(submissions_app, name="submissions")
    app.command(epilog="Example: stele search minutes 2024 --agency 'County office'")(search)


@submissions_app.command("list", epilog="Example: stele submissions list --outcome rejected")
def submissions_list(
    outcome: Annotated[
        str, typer.Option(help="stored, duplicate, rejected, in-review, failed or running.")
    ] = "",
    agency: Annotated[str, typer.Option(help="The agency's name, as its agreement gives it.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Submissions, the latest first."""
    from dataclasses import asdict

    from stele.cli.output import OUT, data, print_json, rows_table
    from stele.workspace import opened

    known = {*(str(one) for one in Outcome), "running"} - {str(Outcome.ACCEPTABLE)}
    if outcome and outcome not in known:
        fail(f"“{outcome}” is no outcome; there are {', '.join(sorted(known))}", EXIT_USAGE)
    with plain_errors(), opened(home) as archive:
        outcomes = [outcome] if outcome else []
        rows = archive.catalogue.submissions.latest(outcomes, agency=agency, limit=limit)
    if as_json:
        for row in rows:
            print_json(asdict(row))
        return
    table = rows_table("Number", "Outcome", "Started", "Submission", whole=("Number", "Outcome", "Started"))
    for row in rows:
        place = data(row.subject.rstrip("/").rsplit("/", 1)[-1])
        table.add_row(row.id[:8], row.outcome, row.started[:16].replace("T", " "), place)
    OUT.print(table if rows else "No submission yet.")


@submissions_app.command("show", epilog="Example: stele submissions show 5d1f")
def submissions_show(
    number: Annotated[str, typer.Argument(help="As the list shows it: its first characters are enough.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """One submission: every attempt at it, its findings, where its receipt is."""
    from dataclasses import asdict

    from stele.cli.output import OUT, data, print_json
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive:
        found = archive.catalogue.submissions.starting_with(number.strip().lower().rstrip("…"))
        row = archive.catalogue.submissions.get(only_one(found, number, "submission"))
        assert row is not None, "it was found a moment ago"
        attempts = archive.catalogue.submissions.attempts(row.id)
    report = json.loads(row.report or "{}")
    if as_json:
        facts = {name: value for name, value in asdict(row).items() if name not in ("report", "owner")}
        print_json({**facts, "attempts": [asdict(one) for one in attempts], "report": report})
        return
    OUT.print(f"[bold]{row.id}[/]  {row.outcome}\n{data(row.subject)}", soft_wrap=True)
    OUT.print(f"{data(row.agency or row.agreement)}{f', {row.aip}' if row.aip else ''}", soft_wrap=True)
    for one in attempts:
        said = f"{one.number}. {one.started} {one.outcome} {one.reason}".rstrip()
        OUT.print(f"  {data(said)}", soft_wrap=True)
        if one.receipt:
            OUT.print(f"     receipt: {data(one.receipt)}", soft_wrap=True)
    for found_problem in report.get("problems", []):
        text = f"{found_problem['code']} {found_problem['for_depositor']}"
        OUT.print(f"  • {data(text)}", soft_wrap=True)


def search(
    words: Annotated[list[str], typer.Argument(help="All must occur; each may be only a beginning.")],
    agency: Annotated[str, typer.Option(help="Only of this agency.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find AIPs by words of title, identifier, agency or file names, as on the dashboard."""
    from dataclasses import asdict

    from stele.cli.output import OUT, data, print_json, rows_table
    from stele.workspace import opened
    from storage.catalogue import Search

    with plain_errors(), opened(home) as archive:
        wanted = Search(" ".join(words), agency=agency)
        rows = [row for _, row in archive.catalogue.search.find(wanted, limit=limit)]
    if as_json:
        for row in rows:
            print_json(asdict(row))
        return
    table = rows_table("AIP", "Title", "Agency", whole=("AIP",))
    for row in rows:
        table.add_row(row.id.removeprefix("urn:uuid:")[:8], data(row.title), data(row.agency))
    OUT.print(table if rows else "Nothing that is kept has all these words.")
