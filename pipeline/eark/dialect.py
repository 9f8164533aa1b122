"""METS files of the Archivematica dialect: read by metsrw, and reported as what they are."""

from __future__ import annotations

from collections import Counter
from typing import BinaryIO

from packages.mets.archivematica import UnreadableMets, read
from packages.mets.reading import MetsDocument
from packages.problem import Problem
from packages.problem_catalogue import problem

__all__ = ["report_dialect"]

_READ_UP_TO = 5_000
"""Files. The time metsrw takes grows with their square: seconds here, an hour for ten times as many."""


def report_dialect(document: MetsDocument, stream: BinaryIO, path: str) -> Problem:
    """What metsrw read of a METS whose dialect is known, or that it could not."""
    number = len(document.files)
    if number > _READ_UP_TO:
        found = f"{number:,} files are listed; metsrw was not asked to read so many"
        return problem("METS-DIALECT", path, found=found)
    stream.seek(0)
    try:
        files = read(stream.read())
    except UnreadableMets as error:
        return problem("METS-UNREADABLE", path, found=str(error))
    uses = Counter(file.use or "no use" for file in files)
    listed = ", ".join(f"{count} {use}" for use, count in sorted(uses.items())) or "none"
    return problem("METS-DIALECT", path, found=f"metsrw read {len(files)} files ({listed})")
