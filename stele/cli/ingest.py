"""``stele ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.context import Progress, Result
from stele.cli.each_submission import each_submission
from stele.cli.options import AgreementName, AsJson, Home
from stele.intake import ingest_now
from stele.settings import Settings

EXAMPLE = "stele ingest dropbox/*.zip --agreement county-office"


def command(
    paths: Annotated[list[Path], typer.Argument(help="Bags: folders, zip, tar or tar.gz.")],
    agreement: AgreementName = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ingest submissions now. Each ends as stored, duplicate, rejected, in review or failed."""
    each_submission(_ingest, paths, agreement, home, title="Ingest", as_json=as_json)


def _ingest(
    settings: Settings, path: Path, agreement: Agreement, archive: Archive, progress: Progress
) -> Result:
    return ingest_now(archive, settings, path, agreement, progress)
