"""``stele formats report``."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table

from packages.sizes import size_text
from pipeline.formats.report import format_report
from stele.cli.options import AsJson, Home, plain_errors
from stele.cli.output import OUT, RISK_COLOUR, data, print_json
from stele.workspace import opened

EXAMPLE = "stele formats report"


def command(home: Home = None, as_json: AsJson = False) -> None:
    """Every format in the archive: AIPs, files, bytes, not valid ones, risk."""
    table = Table()
    for column in ("PUID", "Format", "AIPs", "Files", "Size", "Not valid", "Risk", "Decision"):
        justify = "right" if column in ("AIPs", "Files", "Size", "Not valid") else "left"
        table.add_column(column, overflow="fold", justify=justify, no_wrap=column == "PUID")  # type: ignore[arg-type]
    with plain_errors(), opened(home) as archive:
        lines = format_report(archive.catalogue, archive.tools.policy)
    for line in lines:
        if as_json:
            print_json(asdict(line))
            continue
        numbers = (f"{line.aips:,}", f"{line.files:,}", size_text(line.bytes), f"{line.not_valid:,}")
        risk = f"[{RISK_COLOUR[line.risk]}]{line.risk}[/]"
        table.add_row(line.puid, data(line.name), *numbers, risk, line.decision)
    if not as_json:
        OUT.print(table)
        OUT.print("Risk: how likely it is that nobody can open it in fifty years (stele formats policy).")
