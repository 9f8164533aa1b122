"""``stele store reconcile``."""

from __future__ import annotations

import typer

from pipeline.preservation.reconcile import reconcile
from stele.cli.options import (
    EXIT_INVALID,
    AsJson,
    Home,
    plain_errors,
)
from stele.cli.store.differences import print_differences
from stele.workspace import opened

EXAMPLE = "stele store reconcile"


def command(home: Home = None, as_json: AsJson = False) -> None:
    """Compare catalogue and storage in both directions (lists every store)."""
    with plain_errors(), opened(home) as archive:
        found = print_differences(
            reconcile(archive), as_json=as_json, nothing="Catalogue and storage agree."
        )
    raise typer.Exit(EXIT_INVALID if found else 0)
