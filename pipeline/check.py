"""Judging without storing: submissions, E-ARK packages, single METS files."""

from __future__ import annotations

import time
from pathlib import Path

from packages.mets.csip_rules import csip
from packages.mets.reading import read_mets
from packages.problem import Problem, by_severity, has_errors
from packages.problem_catalogue import problem
from pipeline.agreement import Agreement
from pipeline.context import Outcome, Progress, Result, no_progress
from pipeline.ingest import Archive
from pipeline.ingest import check as check_submission

__all__ = ["check", "check_eark_folder", "check_mets_file"]


def check(
    subject: Path, agreement: Agreement, archive: Archive, progress: Progress = no_progress
) -> Result:
    """The verdict an ingest would reach, or the E-ARK rules' for what is no bag."""
    if subject.is_dir() and (subject / "METS.xml").is_file() and not (subject / "bagit.txt").exists():
        return _judged(subject, agreement, archive, check_eark_folder(subject))
    if subject.is_file() and subject.suffix.lower() == ".xml":
        return _judged(subject, agreement, archive, check_mets_file(subject))
    return check_submission(subject, agreement, archive, progress)


def check_mets_file(path: Path) -> list[Problem]:
    """A METS document alone: schema, CSIP rules, references inside it. Nothing is fetched."""
    with path.open("rb") as stream:
        return read_mets(stream, path.name).problems


def check_eark_folder(root: Path) -> list[Problem]:
    """An unpacked E-ARK package: its METS files and whether what they list is there."""
    problems: list[Problem] = []
    for mets in [root / "METS.xml", *sorted(root.glob("representations/*/METS.xml"))]:
        name = mets.relative_to(root).as_posix()
        with mets.open("rb") as stream:
            document = read_mets(stream, name)
        problems += document.problems
        for file in document.files:
            target = (mets.parent / file.path).resolve()
            if not target.is_relative_to(root.resolve()):
                problems.append(csip("CSIP79", name, f"{file.path} is outside the package"))
            elif not target.is_file():
                problems.append(problem("METS-FILE-MISSING", name, found=file.path))
            elif file.size and file.size != str(target.stat().st_size):
                found = str(target.stat().st_size)
                problems.append(problem("METS-SIZE", file.path, expected=file.size, found=found))
    return problems


def _judged(subject: Path, agreement: Agreement, archive: Archive, problems: list[Problem]) -> Result:
    began = time.perf_counter()
    outcome = Outcome.REJECTED if has_errors(problems) else Outcome.ACCEPTABLE
    files = [path for path in subject.rglob("*") if path.is_file()] if subject.is_dir() else [subject]
    return Result(
        subject=str(subject),
        outcome=outcome,
        aip=None,
        version=None,
        files=len(files),
        bytes=sum(path.stat().st_size for path in files),
        problems=by_severity(problems),
        stages={},
        seconds=time.perf_counter() - began,
        agreement=agreement.name,
        finished=archive.clock(),
    )
