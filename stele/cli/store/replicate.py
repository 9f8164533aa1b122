"""``stele store replicate``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.archive import Archive
from pipeline.holdings.journal import write_journal
from pipeline.preservation.replicate import replicate
from stele.cli.options import (
    EXIT_FAILED,
    EXIT_USAGE,
    AsJson,
    Home,
    fail,
    plain_errors,
)
from stele.cli.output import OUT, data, print_json
from stele.workspace import opened
from storage.replicas.store import ArchivalStore

EXAMPLE = "stele store replicate --store s3"


StoreName = Annotated[str | None, typer.Option("--store", help="Only this store, by name.")]


def command(store: StoreName = None, home: Home = None, as_json: AsJson = False) -> None:
    """Create copies that are pending, damaged or missing, from stores that have them intact."""
    made, failed, skipped = 0, 0, 0
    with plain_errors(), opened(home) as archive:
        for done in replicate(archive, _chosen(archive, store)):
            made, skipped = made + done.made, skipped + done.skipped
            failed += not done.made and not done.skipped
            if as_json:
                print_json(asdict(done))
            elif not done.made:
                OUT.print(
                    f"[red]not copied[/]  {done.aip} to {data(done.store)}: {data(done.reason)}",
                    soft_wrap=True,
                )
        write_journal(archive, catch_up=True)
    if not as_json:
        busy = f", {skipped} in use by another process" if skipped else ""
        OUT.print(f"{made} copies made and verified, {failed} could not be made{busy}")
    raise typer.Exit(EXIT_FAILED if failed else 0)


def _chosen(archive: Archive, name: str | None) -> list[ArchivalStore] | None:
    if name is None:
        return None
    found = [store for store in archive.stores if store.name == name]
    if not found:
        known = ", ".join(store.name for store in archive.stores)
        fail(f"there is no store “{name}”; there are: {known}", EXIT_USAGE)
    return found
