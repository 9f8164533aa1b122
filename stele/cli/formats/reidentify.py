"""``stele formats reidentify``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.preservation.reidentify import reidentify as run
from stele.cli.options import AsJson, Home, package_id, plain_errors
from stele.cli.output import OUT, data, print_json
from stele.workspace import opened

EXAMPLE = "stele formats reidentify --unknown"


def command(
    aips: Annotated[list[str] | None, typer.Argument(help="AIPs; default: all.")] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Only AIPs that hold files of unknown format.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Identify stored files again with today's signatures; what changed becomes an event."""
    number = 0
    with plain_errors(), opened(home) as archive:
        if aips:
            chosen = iter([package_id(aip, archive).urn for aip in aips])
        elif unknown:
            chosen = iter(archive.catalogue.formats.aips_with(["unknown"]))
        else:
            chosen = iter([row.id for row in archive.catalogue.aips.all()])
        for number, (aip, changed) in enumerate(run(archive, chosen), 1):  # noqa: B007  (used below)
            if as_json:
                print_json({"aip": aip, **asdict(changed)})
            else:
                said = f"{changed.before} → {changed.puid}  {data(changed.path)} ({aip})"
                OUT.print(said, soft_wrap=True)
    if not as_json:
        OUT.print(f"{number} file(s) are of another format today." if number else "Nothing has changed.")
