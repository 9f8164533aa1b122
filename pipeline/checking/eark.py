"""Judging an E-ARK package as it was handed over: in a folder, or in an archive that is unpacked first."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from packages.containers.sources import Source, open_source
from packages.eark.contents import Content, check_contents
from packages.eark.layout import Layout
from packages.eark.structure import check_top
from packages.paths import normalise
from packages.worklist import Worklist
from pipeline.context import IngestContext
from pipeline.ingest.receive import archive_faults, screen
from pipeline.stage_report import StageReport
from pipeline.unpacking.custody import take_custody

__all__ = ["judge_package"]


def judge_package(context: IngestContext, report: StageReport, layout: Layout) -> tuple[int, int]:
    """Report everything about the package ``layout`` was found in; its files and bytes.

    Raises SubmissionUnreadable, WorkAreaUnusable.
    """
    with archive_faults(context, report):
        source = open_source(context.subject, context.agreement.limits)
        assert source is not None, "its layout was read a moment ago"
        with closing(source):
            screening, blocked = screen(source, context, report, lambda _path, _size: None)
            if not blocked:
                report.add(*check_top(layout, context.subject.name))
                files = _contents(source, layout.root, context)
                check_contents(
                    files, layout, name=context.subject.name, today=context.clock().date(),
                    report=report.add, progress=lambda size: context.progress("verify", size, 1),
                )  # fmt: skip
        return screening.files, screening.bytes
    return 0, 0


def _contents(source: Source, root: str, context: IngestContext) -> dict[str, Content]:
    """The files of the package by their place in it; those of an archive are unpacked first."""
    if source.form == "folder":
        listed = ((normalise(entry.path), entry, opener) for entry, opener in source.contents())
        return {
            path.removeprefix(root): Content(entry.size, opener)
            for path, entry, opener in listed
            if path.startswith(root)
        }
    with closing(Worklist(context.work, ())) as worklist:
        take_custody(source, root, worklist, context)
        return {
            path: Content(size, partial(_open, context.work / "content" / work), sha512)
            for path, work, size, sha512 in worklist.places()
        }


def _open(place: Path) -> BinaryIO:
    return cast(BinaryIO, place.open("rb", buffering=0))
