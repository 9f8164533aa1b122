"""``stele store probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from stele.cli.options import EXIT_INVALID, AsJson, Home, plain_errors
from stele.cli.output import OUT, data, print_json
from stele.s3_probe_cache import probe_store
from stele.settings import S3StoreSettings, SettingsError, find_home, load_settings
from storage.s3.probe.capabilities import Answer, Capabilities, Check

EXAMPLE = "stele store probe cloud"

_MARKS = {
    Answer.YES: "[green]✔ yes[/]",
    Answer.NO: "[yellow]– no[/]",
    Answer.UNKNOWN: "[cyan]? unknown[/]",
}


def command(
    name: Annotated[str | None, typer.Argument(help="A store; default: every S3 store.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find out what the servers of S3 stores really do, and keep the result."""
    with plain_errors():
        raise typer.Exit(EXIT_INVALID if _probe(name, home, as_json=as_json) else 0)


def _probe(name: str | None, home: Path | None, *, as_json: bool) -> bool:
    """Probe one S3 store, or all; whether one of them is dangerous.

    Raises SettingsError when there is no such store; StoreUnavailable, StoreRefused.
    """
    settings = load_settings(find_home(home))
    chosen = [
        store
        for store in settings.stores
        if isinstance(store, S3StoreSettings) and name in (None, store.name)
    ]
    if not chosen:
        known = ", ".join(s.name for s in settings.stores if isinstance(s, S3StoreSettings)) or "none"
        wanted = f"S3 store “{name}”" if name else "S3 store"
        raise SettingsError(f"there is no {wanted} in the settings; there are: {known}")
    dangerous = False
    for store in chosen:
        found = probe_store(store, settings.home)
        dangerous = dangerous or bool(found.dangers)
        if as_json:
            print_json({"store": store.name, "dangerous": bool(found.dangers), **found.as_json()})
        else:
            _print(store.name, found)
    return dangerous


def _print(name: str, found: Capabilities) -> None:
    table = Table("", "", "What was seen", title=f"{data(name)}: bucket {data(found.bucket)}")
    table.title_justify = "left"
    for check in found.checks:
        table.add_row(check.name.value, _mark(check), data(check.sentence))
    OUT.print(table)
    for danger in found.dangers:
        OUT.print(f"[red]✘ Nothing will be archived there:[/] {data(danger)}", soft_wrap=True)


def _mark(check: Check) -> str:
    return "[red]✘ danger[/]" if check.dangerous else _MARKS[check.answer]
