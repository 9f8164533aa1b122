"""``stele aip hold``."""

from __future__ import annotations

from dataclasses import asdict

from pipeline.preservation.removal import place_hold
from stele.cli.options import Aip, AsJson, By, Home, Reason, package_id, plain_errors
from stele.cli.output import OUT, print_json
from stele.workspace import opened

EXAMPLE = "stele aip hold 7a3c --by 'A. Clerk' --reason 'case 12/26'"


def command(aip: Aip, by: By, reason: Reason, home: Home = None, as_json: AsJson = False) -> None:
    """Forbid the removal of an AIP until the hold is lifted."""
    with plain_errors(), opened(home) as archive:
        urn = package_id(aip, archive).urn
        placed = place_hold(archive, urn, reason=reason, person=by)
    if as_json:
        print_json({"aip": urn, "hold": "placed", **asdict(placed)})
        return
    by_whom = f"; {', '.join(placed.enforced)} enforces it too" if placed.enforced else ""
    OUT.print(f"The hold stands{by_whom}.", markup=False)
    for store, why in placed.untold:
        OUT.print(
            f"Store “{store}” does not enforce it yet: {why}. The next nightly run tells it.",
            markup=False, soft_wrap=True,
        )  # fmt: skip
