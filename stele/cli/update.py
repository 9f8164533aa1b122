"""``stele aip update``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stele.cli.options import AsJson, Home, package_id, plain_errors


def register(aip_app: typer.Typer) -> None:
    """Add this command to the front door."""
    aip_app.command(
        "update",
        epilog="Example: stele aip update 7a3c… --metadata ead.xml --by 'B. Clerk' --reason 'described'",
    )(update)


def update(
    aip: Annotated[str, typer.Argument(help="An AIP: urn:uuid:…, uuid-…, a UUID or its first characters.")],
    by: Annotated[str, typer.Option("--by", help="Who makes the change; it is recorded.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    metadata: Annotated[list[Path] | None, typer.Option(help="An XML file to add or replace.")] = None,
    representation: Annotated[Path | None, typer.Option(help="A folder to add as representation.")] = None,
    name: Annotated[str, typer.Option(help="The new representation's name.")] = "rep2",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a new version of an AIP: metadata added or replaced, a representation added."""
    from dataclasses import asdict

    from packages.sizes import size_text
    from pipeline.preservation.update import Change, update_aip
    from stele.cli.output import OUT, print_json
    from stele.workspace import opened

    change = Change(reason, by, tuple(metadata or ()), representation, name)
    with plain_errors(), opened(home) as archive:
        done = update_aip(package_id(aip, archive).urn, change, archive)
    if as_json:
        print_json(asdict(done))
    else:
        OUT.print(f"{done.version} of {done.aip}: {done.files} new objects, {size_text(done.bytes)}")
        for store, why in done.pending:
            OUT.print(f"[yellow]pending in {store}[/]: {why}", soft_wrap=True)
