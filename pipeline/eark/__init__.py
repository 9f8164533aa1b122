"""Judging E-ARK information packages (CSIP, SIP, AIP, DIP 2.x) as folders and in archives."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from packages.paths import normalise
from pipeline.context import IngestContext
from pipeline.eark.contents import Content, check_contents
from pipeline.eark.layout import Form, Layout, form_of, look_at
from pipeline.eark.structure import check_top
from pipeline.receive import archive_faults, screen
from pipeline.receive.custody import take_custody
from pipeline.receive.sources import Source, open_source
from pipeline.worklist import Worklist

__all__ = ["Form", "check_top", "form_of", "judge_package", "look_at"]


def judge_package(context: IngestContext, layout: Layout) -> tuple[int, int]:
    """Report everything about the package ``layout`` was found in; its files and bytes.

    Raises SubmissionUnreadable, WorkAreaUnusable.
    """
    with archive_faults(context):
        source = open_source(context.subject, context.agreement.limits)
        assert source is not None, "its layout was read a moment ago"
        with closing(source):
            screening, blocked = screen(source, context, lambda _path, _size: None)
            if not blocked:
                context.add(*check_top(layout, context.subject.name))
                files = _contents(source, layout.root, context)
                check_contents(files, layout, context)
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
