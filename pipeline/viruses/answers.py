"""What clamd's answers mean."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pipeline.errors import ToolFailed
from pipeline.formats.tool import ToolState

__all__ = ["ClamdState", "ScanResult", "Word", "read_version", "read_word"]

_VERSION = re.compile(r"ClamAV ([0-9][^/\s]*)(?:/(\d+)/([^/]+))?")
_LIMIT = "Heuristics.Limits.Exceeded"
_ENCRYPTED = "Heuristics.Encrypted"


class ScanResult(StrEnum):
    """What is known about a file after asking."""

    CLEAN = "clean"  # looked at to the end; no signature matched
    INFECTED = "infected"
    NOT_SCANNED = "not-scanned"  # not, or not all of it


class Word(NamedTuple):
    """Clamd's word on a file: with the signature's name, or why it was not scanned."""

    result: ScanResult
    name: str = ""
    doubtful: bool = False
    """An error may be the file's; it may as well be clamd's, on its way down."""


@dataclass(frozen=True, slots=True)
class ClamdState(ToolState):
    """What is known about a clamd. Its ``version`` is the engine's."""

    signatures: int | None = None
    """The number of the official database; None when clamd has other signatures only."""
    signature_date: datetime | None = None
    detects: bool = False
    """Whether it finds the EICAR test signature; a database of one's own may lack it."""
    tells_limits: bool = False
    """Whether it says so when a file is over a limit (AlertExceedsMax); if not, it says OK."""
    tells_encrypted: bool = False
    """Whether it says so when an archive is encrypted (AlertEncrypted); if not, it says OK."""


def read_version(text: str) -> ClamdState:
    """Read ``ClamAV 1.4.6/27500/Tue Nov 25 08:12:01 2025``; the rest is missing without a database.

    Clamd writes the date in its local time, without a zone: it is taken for ours.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        return ClamdState("ClamAV", problem=f"it answered “{text[:80]}” when asked for its version")
    engine, number, made = match.groups()
    date = None
    with suppress(ValueError, OverflowError):
        date = datetime.strptime(made, "%a %b %d %H:%M:%S %Y").astimezone() if made else None
    return ClamdState("ClamAV", engine, signatures=int(number) if number else None, signature_date=date)


def read_word(text: str) -> Word:
    """Read ``fd[9]: OK``, ``stream: Win.Test.EICAR FOUND`` or ``…ERROR``. Raises ToolFailed."""
    where, _, verdict = text.rpartition(": ")
    if where and verdict == "OK":
        return Word(ScanResult.CLEAN)
    if where and verdict.endswith(" FOUND"):
        name = verdict.removesuffix(" FOUND")
        if name.startswith(_LIMIT):  # not a virus, whatever it is called
            return Word(ScanResult.NOT_SCANNED, f"not all of it: over a limit of ClamAV ({name})")
        if name.startswith(_ENCRYPTED):
            return Word(ScanResult.NOT_SCANNED, f"not inside: encrypted ({name})")
        return Word(ScanResult.INFECTED, name)
    if text.endswith("ERROR"):
        reason = (text.partition(": ")[2] or text).removesuffix("ERROR").strip(" .")
        if "size limit exceeded" in reason:
            return Word(ScanResult.NOT_SCANNED, "longer than clamd takes over TCP (StreamMaxLength)")
        if "command" not in reason.lower():
            reason = f"ClamAV: {reason or 'an error without a reason'}"
            return Word(ScanResult.NOT_SCANNED, reason, doubtful=True)
    raise ToolFailed(f"clamd answered “{text[:200]}”")
