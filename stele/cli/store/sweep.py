"""``stele store sweep``."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from pipeline.preservation.reconcile import sweep
from stele.cli.options import (
    AsJson,
    Home,
    plain_errors,
)
from stele.cli.store.differences import print_differences
from stele.workspace import opened

EXAMPLE = "stele store sweep --remove"


def command(
    days: Annotated[float, typer.Option(min=0, help="Untouched for so many days.")] = 2.0,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it; otherwise only show it.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show, or remove, what interrupted writes left in the stores."""
    with plain_errors(), opened(home) as archive:
        found = sweep(archive, timedelta(days=days), remove=remove)
        print_differences(found, as_json=as_json, nothing="There is nothing to sweep.")
