"""``stele store verify``: what is to be judged, and how the verdict looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from packages.identifiers import PackageId
from pipeline.archive import Archive
from pipeline.checking.stores import VerifyReport, verify_archive, verify_place
from pipeline.errors import PipelineError
from stele.cli.output import OUT, data, print_problems
from storage.files.store import FileStore


def verify_subject(subject: str | None, archive: Archive | None) -> Iterator[VerifyReport]:
    """Reports for an AIP, for all, or for the OCFL object or storage root at a path.

    Raises PipelineError when ``subject`` is neither.
    """
    if archive is None:
        assert subject is not None, "without a workspace there is a path"
        path = Path(subject).resolve()
        yield from verify_place(FileStore(path, str(path)))
        return
    package = None
    if subject is not None:
        try:
            package = PackageId.parse(subject)
        except ValueError:
            raise PipelineError(f"“{subject}” is neither an AIP identifier nor a path") from None
    yield from verify_archive(archive.catalogue, tuple(archive.repositories), package)


def print_report(report: VerifyReport) -> None:
    """One verdict as a person reads it."""
    colour = "green" if report.outcome == "intact" else "red"
    name = data(report.object)
    OUT.print(f"[{colour}]{report.outcome}[/]  {name}  in {data(report.store)}", soft_wrap=True)
    print_problems(list(report.problems))
