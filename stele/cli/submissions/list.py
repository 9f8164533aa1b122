"""``stele submissions list``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from stele.cli.options import EXIT_USAGE, AsJson, Home, fail, plain_errors
from stele.cli.output import OUT, data, print_json, rows_table
from stele.workspace import opened
from storage.states import AttemptState, Outcome

EXAMPLE = "stele submissions list --outcome rejected"


def command(
    outcome: Annotated[
        str, typer.Option(help="stored, duplicate, rejected, in-review, failed or running.")
    ] = "",
    agency: Annotated[str, typer.Option(help="The agency's name, as its agreement gives it.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Submissions, the latest first."""
    known = {*(str(one) for one in Outcome), str(AttemptState.RUNNING)} - {str(Outcome.ACCEPTABLE)}
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
