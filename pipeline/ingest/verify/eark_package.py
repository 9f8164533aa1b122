"""Judging what is no bag: METS alone, or an E-ARK package in a folder or archive, which is unpacked."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from packages.containers.sources import Source, open_source
from packages.eark.contents import Content, check_contents
from packages.eark.dialect import report_dialect
from packages.eark.layout import Form, Layout, form_of, look_at
from packages.eark.structure import check_top
from packages.mets.csip_reader import read_mets
from packages.mets.rules.rule import PackageContext
from packages.paths import normalise
from packages.problems.problem import Problem
from packages.worklist import Worklist
from pipeline.context import IngestContext, utc_now
from pipeline.ingest.receive import archive_faults, screen
from pipeline.stage_report import StageReport
from pipeline.unpacking.custody import take_custody

__all__ = ["NoBag", "check_mets_file", "judge_document", "judge_no_bag"]


@dataclass(frozen=True, slots=True)
class NoBag:
    """What a subject that is no bag was judged as, and how much of it was."""

    form: Form
    files: int = 0
    bytes: int = 0


def judge_no_bag(context: IngestContext, report: StageReport) -> NoBag:
    """Report what the E-ARK rules say of it, or why they cannot be asked.

    Raises SubmissionUnreadable, WorkAreaUnusable.
    """
    layout = look_at(context.subject, context.agreement.limits)
    form = form_of(layout) if layout else Form.BAG
    if layout is not None and form is Form.PACKAGE:
        return NoBag(form, *_judge_package(context, report, layout))
    if layout is not None and form is Form.NEITHER:
        report.add(*check_top(layout, context.subject.name))
    return NoBag(form)


def judge_document(context: IngestContext, report: StageReport) -> NoBag:
    """Report on a METS file alone."""
    report.add(*check_mets_file(context.subject))
    return NoBag(Form.PACKAGE, 1, context.subject.stat().st_size)


def check_mets_file(path: Path) -> list[Problem]:
    """A METS document alone: schema, CSIP rules, references inside it. Nothing is fetched."""
    with path.open("rb") as stream:
        package = PackageContext(today=int(f"{utc_now():%Y%m%d}"))
        document = read_mets(stream, path.name, package=package)
        if document.dialect:
            document.problems.append(report_dialect(document, stream, path.name))
    return document.problems


def _judge_package(context: IngestContext, report: StageReport, layout: Layout) -> tuple[int, int]:
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
