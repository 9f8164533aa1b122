"""``stele doctor``: what is installed, reachable and configured."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table

from stele.cli.options import EXIT_FAILED
from stele.cli.output import OUT, print_json
from stele.doctor import Finding, examine

__all__ = ["show_findings"]

_MARKS = {"ok": "[green]✔ ok[/]", "missing": "[yellow]– missing[/]", "broken": "[red]✘ broken[/]"}


def show_findings(home: Path | None, *, as_json: bool) -> None:
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
