"""``stele review show``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from stele.cli.options import AsJson, Home, plain_errors
from stele.cli.output import OUT, data, print_json
from stele.review import one_waiting
from stele.workspace import opened_with_settings

EXAMPLE = "stele review show 5d1f"


def command(
    number: Annotated[
        str, typer.Argument(help="As “stele review list” shows it, or its first characters.")
    ],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Everything that was found about one of them, and what was decided so far."""
    with plain_errors(), opened_with_settings(home) as (archive, settings):
        one = one_waiting(archive, settings, number)
        decisions = archive.catalogue.decisions.of(one.id)
    if as_json:
        print_json({**one.as_json(), "decisions": [asdict(row) for row in decisions]})
        return
    OUT.print(f"[bold]{one.id}[/]  {one.kind}\n{data(one.subject)}", soft_wrap=True)
    OUT.print(f"{data(one.agency)}, since {one.since}", soft_wrap=True)
    OUT.print("\nWhat was found:")
    for found in one.found:
        OUT.print(f"  • {data(found)}", soft_wrap=True)
    for row in decisions:
        said = f"{row.time} {row.verdict} by {row.person}: {row.reason}"
        OUT.print(f"  {data(said)}", soft_wrap=True)
    if one.waiting:
        OUT.print(f"\n{data(one.waiting)} has accepted; a second person must agree.", soft_wrap=True)
    OUT.print("\nDecide with: stele review decide NUMBER accept|reject|keep --by NAME --reason WHY")
