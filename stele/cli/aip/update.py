"""``stele aip update``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from packages.sizes import size_text
from pipeline.preservation.update import Change, update_aip
from stele.cli.options import Aip, AsJson, Home, package_id, plain_errors
from stele.cli.output import OUT, data, print_json
from stele.workspace import opened

EXAMPLE = "stele aip update 7a3c --metadata ead.xml --by 'B. Clerk' --reason 'described'"


def command(
    aip: Aip,
    by: Annotated[str, typer.Option("--by", help="Who makes the change; it is recorded.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    metadata: Annotated[list[Path] | None, typer.Option(help="An XML file to add or replace.")] = None,
    representation: Annotated[Path | None, typer.Option(help="A folder to add as representation.")] = None,
    name: Annotated[str, typer.Option(help="The new representation's name.")] = "rep2",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a new version of an AIP: metadata added or replaced, a representation added."""
    change = Change(reason, by, tuple(metadata or ()), representation, name)
    with plain_errors(), opened(home) as archive:
        done = update_aip(package_id(aip, archive).urn, change, archive)
    if as_json:
        print_json(asdict(done))
    else:
        OUT.print(f"{done.version} of {done.aip}: {done.files} new objects, {size_text(done.bytes)}")
        for store, why in done.pending:
            OUT.print(f"[yellow]pending in {data(store)}[/]: {data(why)}", soft_wrap=True)
