"""``stele submissions show``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from stele.cli.options import AsJson, Home, only_one, plain_errors
from stele.cli.output import OUT, data, print_json
from stele.workspace import opened

EXAMPLE = "stele submissions show 5d1f"


def command(
    number: Annotated[str, typer.Argument(help="As the list shows it: its first characters are enough.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """One submission: every attempt at it, its findings, where its receipt is."""
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
