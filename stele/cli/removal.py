"""``stele aip hold``, ``release`` and ``remove``."""

from __future__ import annotations

from typing import Annotated

import typer

from stele.cli.options import EXIT_USAGE, AsJson, Home, fail, package_id, plain_errors

Aip = Annotated[str, typer.Argument(help="An AIP: urn:uuid:…, uuid-…, a UUID or its first characters.")]
By = Annotated[str, typer.Option("--by", help="Who says so; it is recorded.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded.")]


def register(aip_app: typer.Typer) -> None:
    """Add these commands to the front door."""
    aip_app.command("hold", epilog="Example: stele aip hold 7a3c… --by 'A. Clerk' --reason 'case 12/26'")(
        hold
    )
    aip_app.command("release")(release)
    aip_app.command(
        "remove",
        epilog="Example: stele aip remove 7a3c… --by 'A. Clerk' --reason 'disposal list 4'  "
        "then, by another person: stele aip remove 7a3c… --by 'B. Archivist' --approve",
    )(remove)


def hold(aip: Aip, by: By, reason: Reason, home: Home = None) -> None:
    """Forbid the removal of an AIP until the hold is lifted."""
    from pipeline.preservation.removal import place_hold
    from stele.cli.output import OUT
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive:
        placed = place_hold(archive, package_id(aip, archive).urn, reason=reason, person=by)
    by_whom = f"; {', '.join(placed.enforced)} enforces it too" if placed.enforced else ""
    OUT.print(f"The hold stands{by_whom}.", markup=False)
    for store, why in placed.untold:
        OUT.print(
            f"Store “{store}” does not enforce it yet: {why}. The next nightly run tells it.",
            markup=False, soft_wrap=True,
        )  # fmt: skip


def release(aip: Aip, by: By, reason: Reason, home: Home = None) -> None:
    """Lift a hold."""
    from pipeline.preservation.removal import lift_hold
    from stele.cli.output import OUT
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive:
        lift_hold(archive, package_id(aip, archive).urn, reason=reason, person=by)
    OUT.print("The hold is lifted.")


def remove(
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
    from dataclasses import asdict

    from pipeline.preservation.removal import approve_removal, request_removal
    from stele.cli.output import OUT, print_json
    from stele.workspace import opened

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
