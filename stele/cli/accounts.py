"""``stele dashboard`` and ``stele accounts``."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from stele.cli.options import EXIT_USAGE, AsJson, Home, fail, plain_errors

accounts_app = typer.Typer(no_args_is_help=True, help="Who may sign in to the dashboard.")
_SHORTEST = 12


def register(app: typer.Typer) -> None:
    """Add these commands to the front door."""
    app.command(epilog="Example: stele dashboard --port 4280")(dashboard)
    app.add_typer(accounts_app, name="accounts")


def dashboard(
    host: Annotated[str, typer.Option(help="Where to listen; default as configured.")] = "",
    port: Annotated[int | None, typer.Option(help="Default as configured: 4280.")] = None,
    home: Home = None,
) -> None:
    """Show the storage dashboard: overview, holdings, stores and copies, search. Ctrl-C ends it."""
    from stele.cli.output import ERR
    from stele.dashboard_server import run_dashboard
    from stele.settings import find_home, load_settings

    with plain_errors():
        settings = load_settings(find_home(home))
        shown = host or settings.dashboard.host
        at = settings.dashboard.port if port is None else port
        ERR.print(f"The dashboard is at http://{shown}:{at}/  (Ctrl-C ends it)", soft_wrap=True)
        run_dashboard(settings, host=host, port=port)


@accounts_app.command("add", epilog="Example: stele accounts add m.chen --role archivist")
def accounts_add(
    name: Annotated[str, typer.Argument(help="The name to sign in with.")],
    role: Annotated[str, typer.Option(help="operator, archivist (may download DIPs) or auditor.")],
    home: Home = None,
) -> None:
    """Add an account, or give it a new role and password. Asks for the password, or reads a line of it."""
    from dashboard.access import Role, hash_password
    from packages.package_file import timestamp
    from pipeline.context import utc_now
    from stele.cli.output import OUT
    from stele.workspace import opened
    from storage.catalogue import AccountRow

    if role not in list(Role):
        fail(f"“{role}” is no role; there are: {', '.join(Role)}", EXIT_USAGE)
    if not name.strip() or len(name) > 64 or not name.isprintable():
        fail("a name has 1 to 64 visible characters", EXIT_USAGE)
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if len(password) < _SHORTEST:
        fail(f"a password has at least {_SHORTEST} characters", EXIT_USAGE)
    with plain_errors(), opened(home) as archive:
        archive.catalogue.accounts.put(
            AccountRow(name.strip(), role, hash_password(password), timestamp(utc_now()))
        )
    OUT.print(f"{name} may sign in as {role}.", markup=False)


@accounts_app.command("list")
def accounts_list(home: Home = None, as_json: AsJson = False) -> None:
    """Everybody who may sign in."""
    from rich.table import Table

    from stele.cli.output import OUT, print_json
    from stele.workspace import opened

    table = Table("Name", "Role", "Since")
    with plain_errors(), opened(home) as archive:
        for row in archive.catalogue.accounts.all():
            if as_json:
                print_json({"name": row.name, "role": row.role, "created": row.created})
            else:
                table.add_row(row.name, row.role, row.created)
    if not as_json:
        OUT.print(table)


@accounts_app.command("remove")
def accounts_remove(name: Annotated[str, typer.Argument()], home: Home = None) -> None:
    """Take an account away; who is signed in with it is signed out."""
    from stele.cli.output import OUT
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive:
        if not archive.catalogue.accounts.remove(name):
            fail(f"there is no account “{name}”")
    OUT.print(f"{name} may not sign in any more.", markup=False)
