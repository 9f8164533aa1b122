"""``stele dashboard``."""

from __future__ import annotations

from typing import Annotated

import typer

from stele.cli.options import AsJson, Home, plain_errors
from stele.cli.output import ERR, print_json
from stele.dashboard_server import run_dashboard
from stele.settings import find_home, load_settings

EXAMPLE = "stele dashboard --port 4280"


def command(
    host: Annotated[str, typer.Option(help="Where to listen; default as configured.")] = "",
    port: Annotated[int | None, typer.Option(help="Default as configured: 4280.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the storage dashboard: overview, holdings, stores and copies, search. Ctrl-C ends it."""
    with plain_errors():
        settings = load_settings(find_home(home))
        shown = host or settings.dashboard.host
        at = settings.dashboard.port if port is None else port
        if as_json:
            print_json({"dashboard": f"http://{shown}:{at}/"})
        ERR.print(f"The dashboard is at http://{shown}:{at}/  (Ctrl-C ends it)", soft_wrap=True)
        run_dashboard(settings, host=host, port=port)
