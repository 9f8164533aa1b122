"""METS files of other dialects than E-ARK's, reported as what they are; Archivematica's read by metsrw."""

from __future__ import annotations

from collections import Counter
from typing import BinaryIO

from packages.mets.archivematica import UnreadableMets, read
from packages.mets.csip_reader import ARCHIVEMATICA, MetsDocument
from packages.problems.catalogue import problem
from packages.problems.problem import Problem

__all__ = ["report_dialect"]

_READ_UP_TO = 5_000
"""Files. The time metsrw takes grows with their square: seconds here, an hour for ten times as many."""


def report_dialect(document: MetsDocument, stream: BinaryIO, path: str) -> Problem:
    """Whose METS it is; of Archivematica's what metsrw read, or that it could not."""
    number = len(document.files)
    if document.dialect != ARCHIVEMATICA:
        found = f"{number:,} files are listed"
        return problem("METS-DIALECT", path, expected=document.dialect, found=found)
    if number > _READ_UP_TO:
        found = f"{number:,} files are listed; metsrw was not asked to read so many"
        return problem("METS-DIALECT", path, expected=ARCHIVEMATICA, found=found)
    stream.seek(0)
    try:
        files = read(stream.read())
    except UnreadableMets as error:
        return problem("METS-UNREADABLE", path, found=str(error))
    uses = Counter(file.use or "no use" for file in files)
    listed = ", ".join(f"{count} {use}" for use, count in sorted(uses.items())) or "none"
    found = f"metsrw read {len(files)} files ({listed})"
    return problem("METS-DIALECT", path, expected=ARCHIVEMATICA, found=found)
