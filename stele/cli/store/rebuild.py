"""``stele store rebuild``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from pipeline.preservation.rebuild import rebuild
from stele.cli.options import (
    EXIT_INVALID,
    AsJson,
    Home,
    plain_errors,
)
from stele.cli.output import ERR, OUT, data, print_json
from stele.workspace import opened

EXAMPLE = "stele store rebuild"


def command(home: Home = None, as_json: AsJson = False) -> None:
    """Make the catalogue again from what the stores hold."""
    good, bad = 0, 0
    with plain_errors(), opened(home) as archive:
        for done in rebuild(archive):
            good, bad = good + (not done.problem), bad + bool(done.problem)
            if as_json:
                print_json(asdict(done))
            elif done.problem:
                ERR.print(
                    f"[red]not registered[/]  {data(done.subject)}: {data(done.problem)}", soft_wrap=True
                )
    if not as_json:
        OUT.print(f"{good} copies registered, {bad} objects could not be read")
    raise typer.Exit(EXIT_INVALID if bad else 0)
