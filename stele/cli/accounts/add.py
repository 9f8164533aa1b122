"""``stele accounts add``."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from dashboard.access import Role, hash_password
from packages.package_file import timestamp
from pipeline.context import utc_now
from stele.cli.options import EXIT_USAGE, AsJson, Home, fail, plain_errors
from stele.cli.output import OUT, print_json
from stele.workspace import opened
from storage.catalogue import AccountRow

EXAMPLE = "stele accounts add m.chen --role archivist"


_SHORTEST = 12


def command(
    name: Annotated[str, typer.Argument(help="The name to sign in with.")],
    role: Annotated[str, typer.Option(help="operator, archivist (may download DIPs) or auditor.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add an account, or give it a new role and password. Asks for the password, or reads a line of it."""
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
    if as_json:
        print_json({"name": name.strip(), "role": role})
    else:
        OUT.print(f"{name} may sign in as {role}.", markup=False)
