"""``stele serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.serving.supervisor import Parts
from flows.serving.supervisor import serve as run
from stele.cli.options import AsJson, Home, plain_errors
from stele.cli.output import ERR, print_json
from stele.settings import find_home, load_settings

EXAMPLE = "stele serve --home /srv/archive"


def command(
    server: Annotated[bool, typer.Option(help="Start the Prefect server here.")] = True,
    worker: Annotated[bool, typer.Option(help="Start a worker here, which does the work.")] = True,
    dashboard: Annotated[bool, typer.Option(help="Start the storage dashboard here.")] = True,
    grace: Annotated[float, typer.Option(help="Seconds that runs at work get to end.")] = 60.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Prefect server, worker, schedules and dashboard in one command; Ctrl-C stops all in good order.

    A second machine runs “stele serve --no-server --no-dashboard”; see docs/howto/many-machines.md.
    """
    with plain_errors():
        settings = load_settings(find_home(home))
        say = _say_as_json if as_json else _say
        say("Starting; the first time takes some 15 s …")
        run(settings, Parts(server, worker, dashboard), say, grace=grace)


def _say(text: str) -> None:
    ERR.print(text, markup=False, soft_wrap=True, highlight=False)


def _say_as_json(text: str) -> None:
    print_json({"message": text})
