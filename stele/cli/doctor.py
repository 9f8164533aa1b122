"""``stele doctor``."""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.table import Table

from stele.cli.options import EXIT_FAILED, AsJson, Home
from stele.cli.output import OUT, print_json
from stele.doctor import Finding, examine

EXAMPLE = "stele doctor --json"
_MARKS = {"ok": "[green]✔ ok[/]", "missing": "[yellow]– missing[/]", "broken": "[red]✘ broken[/]"}


def command(home: Home = None, as_json: AsJson = False) -> None:
    """What is installed, reachable and configured, and what that switches off."""
    findings = examine(home)
    if as_json:
        for finding in findings:
            print_json(finding.as_json())
    else:
        _print(findings)
    raise typer.Exit(EXIT_FAILED if any(f.state == "broken" for f in findings) else 0)


def _print(findings: list[Finding]) -> None:
    table = Table("", "State", "Detail", "Without it")
    for finding in findings:
        cells = (escape(finding.detail), escape(finding.lost))
        table.add_row(escape(finding.subject), _MARKS[finding.state], *cells)
    OUT.print(table)
