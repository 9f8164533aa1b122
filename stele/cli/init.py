"""``stele init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stele.cli.options import AsJson, plain_errors
from stele.cli.output import OUT, data, print_json
from stele.workspace import make_workspace

EXAMPLE = "stele init /srv/archive"


def command(
    folder: Annotated[Path, typer.Argument(help="The new workspace.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a workspace: settings, drop box, store and catalogue."""
    with plain_errors():
        made = make_workspace(folder.resolve())
    if as_json:
        print_json({"home": str(folder.resolve()), "created": made})
    elif made:
        OUT.print(f"Workspace ready in {data(folder.resolve())}", soft_wrap=True)
        OUT.print(f"Next: [bold]stele ingest --home {data(folder)} A-BAG[/]", soft_wrap=True)
    else:
        OUT.print(f"{data(folder.resolve())} is a workspace already; nothing was changed.")
