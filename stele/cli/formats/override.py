"""``stele formats override``."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.preservation.reidentify import OverrideRefused, override_format
from stele.cli.options import EXIT_INVALID, Aip, AsJson, By, Home, Reason, fail, package_id, plain_errors
from stele.cli.output import OUT, print_json
from stele.workspace import opened

EXAMPLE = "stele formats override 7a3c letters/1.wps fmt/40 --by 'B. Clerk' --reason 'opened it'"


def command(
    aip: Aip,
    path: Annotated[str, typer.Argument(help="The file's name in the records.")],
    puid: Annotated[str, typer.Argument(help="What it is: fmt/40, x-fmt/111, local/name.")],
    by: By,
    reason: Reason,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what a stored file is; recorded as an event of that person, the AIP stays as it is."""
    with plain_errors(), opened(home) as archive:
        urn = package_id(aip, archive).urn
        try:
            override_format(archive, urn, path, puid, person=by, reason=reason)
        except OverrideRefused as error:
            fail(str(error), EXIT_INVALID)
    if as_json:
        print_json({"aip": urn, "path": path, "puid": puid})
    else:
        OUT.print("Recorded.")
