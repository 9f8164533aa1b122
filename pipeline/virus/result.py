"""What a scanner can answer about a file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class ScanResult(StrEnum):
    """How a scan ended. Whatever is not shown to be clean or infected was not scanned."""

    CLEAN = "clean"
    INFECTED = "infected"
    NOT_SCANNED = "not scanned"


@dataclass(frozen=True, slots=True)
class Scanned:
    """One file's result. ``said`` is the signature's name, or why it was not scanned."""

    path: Path
    result: ScanResult
    said: str = ""
