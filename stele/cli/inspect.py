"""``stele inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from packages.sizes import size_text
from pipeline.checking.files import inspect_files
from stele.cli.options import AsJson, Home, plain_errors
from stele.cli.output import OUT, data, print_json, rows_table
from stele.wiring import build_tools
from stele.workspace import settings_or_defaults

EXAMPLE = "stele inspect report.pdf scans/"


def command(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what files are: format, size, SHA-512, whether they are valid, what to know about them."""
    table = rows_table("File", "Size", "Format", "Validity", whole=("Size", "Validity"))
    with plain_errors():
        for record in inspect_files(paths, build_tools(settings_or_defaults(home))):
            if as_json:
                print_json(record)
                continue
            notes = "".join(f"\n[dim]{data(str(note))}[/]" for note in record["messages"])
            known = f"{record['puid']} {record['format']}" if record["puid"] else "unknown"
            size, validity = size_text(record["size"]), str(record["validity"])
            table.add_row(f"{data(record['path'])}{notes}", size, data(known), validity)
    if not as_json:
        OUT.print(table)
