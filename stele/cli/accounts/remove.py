"""``stele accounts remove``."""

from __future__ import annotations

from typing import Annotated

import typer

from stele.cli.options import EXIT_USAGE, AsJson, Home, fail, plain_errors
from stele.cli.output import OUT, print_json
from stele.workspace import opened

EXAMPLE = "stele accounts remove m.chen"


def command(
    name: Annotated[str, typer.Argument(help="As “stele accounts list” shows it.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take an account away; who is signed in with it is signed out."""
    with plain_errors(), opened(home) as archive:
        if not archive.catalogue.accounts.remove(name):
            fail(f"there is no account “{name}”", EXIT_USAGE)
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        OUT.print(f"{name} may not sign in any more.", markup=False)
