"""``stele aip remove``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.preservation.removal import approve_removal, request_removal
from stele.cli.options import EXIT_USAGE, Aip, AsJson, By, Home, fail, package_id, plain_errors
from stele.cli.output import OUT, print_json
from stele.workspace import opened

EXAMPLE = "stele aip remove 7a3c --by 'A. Clerk' --reason 'disposal list 4'"


def command(
    aip: Aip,
    by: By,
    reason: Annotated[str, typer.Option(help="Why; asked for by the first person.")] = "",
    approve: Annotated[
        bool, typer.Option("--approve", help="The second person agrees: remove it now.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Remove an AIP: one person asks and says why, another approves; refused under hold or retention."""
    if approve == bool(reason):
        fail("give --reason to ask for a removal, or --approve to approve one", EXIT_USAGE)
    with plain_errors(), opened(home) as archive:
        urn = package_id(aip, archive).urn
        if approve:
            done = approve_removal(archive, urn, person=by)
            record = {**asdict(done.removal), "certificate": str(done.certificate)}
            said = f"Removed. The certificate is {done.certificate}"
        else:
            record = asdict(request_removal(archive, urn, reason=reason, person=by))
            said = "Noted. Nothing is removed before another person approves: --approve"
    if as_json:
        print_json(record)
    else:
        OUT.print(said, soft_wrap=True)
