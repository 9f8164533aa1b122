"""``stele aip export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from packages.sizes import size_text
from pipeline.access.release import Release, export_released
from stele.cli.options import (
    EXIT_INVALID,
    Aip,
    AsJson,
    ClosedBy,
    ClosedReason,
    Home,
    package_id,
    plain_errors,
)
from stele.cli.output import OUT, data, print_json, print_problems, watching
from stele.workspace import opened

EXAMPLE = "stele aip export 7a3c /tmp/out"


def command(
    aip: Aip,
    folder: Annotated[Path, typer.Argument(help="The bag is written below this folder.")],
    version: Annotated[str | None, typer.Option(help="v1, v2…; default the newest.")] = None,
    by: ClosedBy = "",
    reason: ClosedReason = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Give an AIP back as a valid bag; every digest is checked on the way."""
    with plain_errors(), opened(home) as archive, watching("export") as report:
        done = export_released(
            package_id(aip, archive), archive, folder, version=version, release=Release(by, reason),
            progress=lambda size: report("export", size, 1),
        )  # fmt: skip
    if as_json:
        problems = [problem.as_json() for problem in done.problems]
        counts = {"files": done.files, "bytes": done.bytes, "problems": problems}
        print_json({"aip": aip, "folder": str(done.folder), "version": done.version, **counts})
    else:
        OUT.print(f"{done.files} files, {size_text(done.bytes)} in {data(done.folder)}", soft_wrap=True)
        print_problems(list(done.problems))
    raise typer.Exit(EXIT_INVALID if done.problems else 0)
