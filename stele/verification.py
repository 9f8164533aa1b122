"""``stele store verify``: what is to be judged, and how the verdict looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.markup import escape

from packages.identifiers import PackageId
from pipeline.errors import PipelineError
from pipeline.ingest import Archive
from pipeline.store_check import VerifyReport, verify_archive, verify_object, verify_root
from stele.screen import OUT, print_problems
from storage.files import FileStore
from storage.ocfl.validation import validate_root


def verify_subject(subject: str | None, archive: Archive | None) -> Iterator[VerifyReport]:
    """Reports for an AIP, for all, or for every OCFL object below a path.

    Raises PipelineError when ``subject`` is neither.
    """
    if archive is None:
        assert subject is not None, "without a workspace there is a path"
        yield from _foreign(Path(subject).resolve())
        return
    package = None
    if subject is not None:
        try:
            package = PackageId.parse(subject)
        except ValueError:
            raise PipelineError(f"“{subject}” is neither an AIP identifier nor a path") from None
    yield from verify_archive(archive.catalogue, tuple(archive.repositories), package)


def _foreign(path: Path) -> Iterator[VerifyReport]:
    """An OCFL object, or a storage root and every object in it."""
    store = FileStore(path, str(path))
    is_root = any(path.glob("0=ocfl_[0-9]*")) or (path / "ocfl_layout.json").exists()
    is_object = (path / "inventory.json").exists() or any(path.glob("0=ocfl_object_*"))
    if is_root or (not is_object and any(path.rglob("0=ocfl_object_*"))):
        yield from verify_root(store)
        return
    report = verify_object(store, "")
    if not is_object:  # it is neither, so it lacks what either would have
        report = replace(report, problems=(*report.problems, *validate_root(store).problems))
    yield report


def print_report(report: VerifyReport) -> None:
    """One verdict as a person reads it."""
    colour = "green" if report.outcome == "intact" else "red"
    name = escape(report.object)
    OUT.print(f"[{colour}]{report.outcome}[/]  {name}  in {escape(report.store)}", soft_wrap=True)
    print_problems(list(report.problems))
