"""``stele search``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from stele.cli.options import AsJson, Home, plain_errors
from stele.cli.output import OUT, data, print_json, rows_table
from stele.workspace import opened
from storage.catalogue import Search

EXAMPLE = "stele search minutes 2024 --agency 'County office'"


def command(
    words: Annotated[list[str], typer.Argument(help="All must occur; each may be only a beginning.")],
    agency: Annotated[str, typer.Option(help="Only of this agency.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find AIPs by words of title, identifier, agency or file names, as on the dashboard."""
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
