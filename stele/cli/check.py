"""``stele check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.checking.submission import check
from pipeline.context import Progress, Result
from stele.cli.each_submission import each_submission
from stele.cli.options import AgreementName, AsJson, Home
from stele.settings import Settings

EXAMPLE = "stele check delivery.zip --json"


def command(
    paths: Annotated[list[Path], typer.Argument(help="Bags, E-ARK packages or METS files.")],
    agreement: AgreementName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Judge submissions, bags, E-ARK packages or METS files; store nothing."""
    each_submission(_check, paths, agreement, home, title="Check", as_json=as_json, need_workspace=False)


def _check(_: Settings, path: Path, agreement: Agreement, archive: Archive, progress: Progress) -> Result:
    return check(path, agreement, archive, progress)
