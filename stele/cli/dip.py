"""``stele dip``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from packages.sizes import size_text
from pipeline.access.dip import disseminate
from pipeline.access.release import Release
from stele.cli.options import Aip, AsJson, ClosedBy, ClosedReason, Home, package_id, plain_errors
from stele.cli.output import OUT, data, print_json, watching
from stele.workspace import opened

EXAMPLE = "stele dip 7a3c /srv/reading-room"


def command(
    aip: Aip,
    folder: Annotated[Path, typer.Argument(help="The DIP is written below this folder.")],
    access_copies: Annotated[
        bool, typer.Option("--access-copies", help="Add PDF, JPEG, MP3, MP4 as the policy wants them.")
    ] = False,
    by: ClosedBy = "",
    reason: ClosedReason = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Build a DIP: the content, its METS, its provenance, and an index.html that opens offline."""
    with plain_errors(), opened(home) as archive, watching("dip") as report:
        made = disseminate(
            package_id(aip, archive), archive, folder, access_copies=access_copies,
            release=Release(by, reason), progress=lambda size: report("dip", size, 1),
        )  # fmt: skip
    if as_json:
        counts = {"files": made.files, "bytes": made.bytes}
        print_json({"aip": aip, "dip": made.dip, "folder": str(made.folder), **counts,
                    "failed": list(made.failed)})  # fmt: skip
    else:
        OUT.print(f"{made.files} files, {size_text(made.bytes)} in {data(made.folder)}", soft_wrap=True)
        OUT.print(f"Open {data(made.folder / 'index.html')} in a browser.", soft_wrap=True)
        for line in made.failed[:20]:
            OUT.print(f"no access copy of {line}", soft_wrap=True, markup=False)
