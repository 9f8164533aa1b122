"""``stele store sweep``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from packages.sizes import size_text
from pipeline.preservation.reconcile import Difference, sweep
from stele.cli.options import (
    AsJson,
    Home,
    plain_errors,
)
from stele.cli.output import OUT, print_json
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
        _print_differences(found, as_json, "There is nothing to sweep.")


def _print_differences(found: Iterable[Difference], as_json: bool, nothing: str) -> int:
    number = 0
    for number, difference in enumerate(found, 1):  # noqa: B007  (the count is used after the loop)
        if as_json:
            print_json(asdict(difference))
        else:
            OUT.print(
                f"[yellow]{difference.kind}[/]  {difference.subject} ({difference.store}, "
                f"{difference.objects} objects, {size_text(difference.bytes)})",
                soft_wrap=True,
            )
    if not number and not as_json:
        OUT.print(nothing)
    return number
