"""``stele serve``: everything with pages, in one command."""

from __future__ import annotations

from typing import Annotated

import typer

from stele.cli.options import Home, plain_errors


def register(app: typer.Typer) -> None:
    """Add this command to the front door."""
    app.command(epilog="Example: stele serve --home /srv/archive")(serve)


def serve(
    server: Annotated[bool, typer.Option(help="Start the Prefect server here.")] = True,
    worker: Annotated[bool, typer.Option(help="Start a worker here, which does the work.")] = True,
    dashboard: Annotated[bool, typer.Option(help="Start the storage dashboard here.")] = True,
    grace: Annotated[float, typer.Option(help="Seconds that runs at work get to end.")] = 60.0,
    home: Home = None,
) -> None:
    """Prefect server, worker, schedules and dashboard in one command; Ctrl-C stops all in good order.

    On a second machine: stele serve --no-server --no-dashboard, with [prefect] api in its stele.toml.
    """
    from stele.cli.output import ERR
    from stele.settings import find_home, load_settings

    with plain_errors():
        settings = load_settings(find_home(home))
        from flows.serving.supervisor import Parts
        from flows.serving.supervisor import serve as run

        ERR.print("Starting; the first time takes some 15 s …")
        run(
            settings, Parts(server, worker, dashboard),
            lambda text: ERR.print(text, markup=False, soft_wrap=True, highlight=False), grace=grace,
        )  # fmt: skip
