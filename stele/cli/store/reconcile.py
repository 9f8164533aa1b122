"""``stele store reconcile``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import typer

from packages.sizes import size_text
from pipeline.preservation.reconcile import Difference, reconcile
from stele.cli.options import (
    EXIT_INVALID,
    AsJson,
    Home,
    plain_errors,
)
from stele.cli.output import OUT, print_json
from stele.workspace import opened

EXAMPLE = "stele store reconcile"


def command(home: Home = None, as_json: AsJson = False) -> None:
    """Compare catalogue and storage in both directions (lists every store)."""
    with plain_errors(), opened(home) as archive:
        found = _print_differences(reconcile(archive), as_json, "Catalogue and storage agree.")
    raise typer.Exit(EXIT_INVALID if found else 0)


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
