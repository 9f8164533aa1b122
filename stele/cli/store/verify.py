"""``stele store verify``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pipeline.archive import Archive
from pipeline.checking.stores import VerifyReport, verify_archive, verify_place
from stele.cli.options import EXIT_FAILED, EXIT_INVALID, AsJson, Home, package_id, plain_errors
from stele.cli.output import OUT, data, print_json, print_problems
from stele.workspace import opened_for_verify
from storage.files.store import FileStore

EXAMPLE = "stele store verify --json"


# A store that gives no bytes says nothing about what is kept in it: our side failed.
_VERIFY_EXIT = {"intact": 0, "unreadable": EXIT_FAILED}


def command(
    subject: Annotated[
        str | None,
        typer.Argument(help="An AIP, or a path to any OCFL object or storage root; default: all AIPs."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Re-read every byte of AIPs in every store, or of any OCFL object or storage root, and judge it."""
    worst = 0
    with plain_errors(), opened_for_verify(home, subject) as archive:
        for report in _verify(subject, archive):
            worst = max(worst, _VERIFY_EXIT.get(report.outcome, EXIT_INVALID))
            if as_json:
                print_json(report.as_json())
            else:
                _print(report)
    raise typer.Exit(worst)


def _verify(subject: str | None, archive: Archive | None) -> Iterator[VerifyReport]:
    """Reports for an AIP, for all, or for the OCFL object or storage root at a path."""
    if archive is None:
        assert subject is not None, "without a workspace there is a path"
        path = Path(subject).resolve()
        yield from verify_place(FileStore(path, str(path)))
        return
    package = None if subject is None else package_id(subject, archive)
    yield from verify_archive(archive, package)


def _print(report: VerifyReport) -> None:
    """One report as a person reads it."""
    colour = "green" if report.outcome == "intact" else "red"
    name = data(report.object)
    OUT.print(f"[{colour}]{report.outcome}[/]  {name}  in {data(report.store)}", soft_wrap=True)
    print_problems(list(report.problems))
