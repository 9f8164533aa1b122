"""The ``stele`` command: its own options; the commands themselves stand in ``command_table``."""

from __future__ import annotations

from typing import Annotated

import typer

from stele import __version__
from stele.cli.command_table import CONTEXT, Commands

app = typer.Typer(
    name="stele",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings=CONTEXT,
    help="Takes records in, proves they are whole, keeps them readable for a century.\n\n"
    "Start with: [bold]stele init ARCHIVE[/], then [bold]stele --help[/] of any command.",
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show on stderr what goes into logs/stele.jsonl.")
    ] = False,
) -> None:
    if verbose:
        from stele.logs import show_log  # only here: the help needs no log

        show_log()
    if version:
        typer.echo(f"stele {__version__}")
        raise typer.Exit


def main() -> None:
    """The console script's entry."""
    app()


if __name__ == "__main__":
    main()
