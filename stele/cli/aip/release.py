"""``stele aip release``."""

from __future__ import annotations

from pipeline.preservation.removal import lift_hold
from stele.cli.options import Aip, AsJson, By, Home, Reason, package_id, plain_errors
from stele.cli.output import OUT, print_json
from stele.workspace import opened

EXAMPLE = "stele aip release 7a3c --by 'A. Clerk' --reason 'case 12/26 is closed'"


def command(aip: Aip, by: By, reason: Reason, home: Home = None, as_json: AsJson = False) -> None:
    """Lift a hold."""
    with plain_errors(), opened(home) as archive:
        urn = package_id(aip, archive).urn
        lift_hold(archive, urn, reason=reason, person=by)
    if as_json:
        print_json({"aip": urn, "hold": "lifted"})
    else:
        OUT.print("The hold is lifted.")
