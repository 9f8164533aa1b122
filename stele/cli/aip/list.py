"""``stele aip list``."""

from __future__ import annotations

from dataclasses import asdict

from packages.sizes import size_text
from stele.cli.options import AsJson, Home, plain_errors
from stele.cli.output import OUT, data, print_json, rows_table
from stele.workspace import opened

EXAMPLE = "stele aip list"


def command(home: Home = None, as_json: AsJson = False) -> None:
    """All AIPs, newest first."""
    table = rows_table(
        "AIP", "Title", "Agency", "Files", "Size", "Created", whole=("AIP", "Files", "Size", "Created")
    )
    with plain_errors(), opened(home) as archive:
        for row in archive.catalogue.aips.all():
            if as_json:
                print_json(asdict(row))
            else:
                counts = (str(row.files), size_text(row.bytes), row.created[:10])
                number = row.id.removeprefix("urn:uuid:")[:8]
                table.add_row(number, data(row.title), data(row.agency), *counts)
    if not as_json:
        OUT.print(table)
