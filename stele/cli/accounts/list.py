"""``stele accounts list``."""

from __future__ import annotations

from rich.table import Table

from stele.cli.options import AsJson, Home, plain_errors
from stele.cli.output import OUT, print_json
from stele.workspace import opened

EXAMPLE = "stele accounts list"


def command(home: Home = None, as_json: AsJson = False) -> None:
    """Everybody who may sign in."""
    table = Table("Name", "Role", "Since")
    with plain_errors(), opened(home) as archive:
        for row in archive.catalogue.accounts.all():
            if as_json:
                print_json({"name": row.name, "role": row.role, "created": row.created})
            else:
                table.add_row(row.name, row.role, row.created)
    if not as_json:
        OUT.print(table)
