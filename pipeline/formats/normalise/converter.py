"""What every converter promises, and what a conversion must show before it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.formats.tool import ToolState

__all__ = ["Converted", "Converter", "failed", "fresh", "most_written"]


@dataclass(frozen=True, slots=True)
class Converted:
    """One file's conversion. ``result`` is None unless it exists, opens, and compares as it must.

    ``compared`` says in words and figures what was held against the source; ``problems`` why there
    is no result, or what was lost in it.
    """

    source: Path
    result: Path | None
    tool: str
    compared: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    lossless: bool = False


class Converter(Protocol):
    """Makes files of one format out of others."""

    @property
    def name(self) -> str:
        """How the policy names it, for instance ``office-pdfa``."""

    @property
    def makes(self) -> str:
        """The format that comes out, for people."""

    def state(self) -> ToolState:
        """Whether it can be used here."""

    def convert(self, sources: Sequence[Path], folder: Path) -> list[Converted]:
        """Convert files into a new ``folder``, in the order given. Nothing in a file makes it raise."""


def failed(source: Path, tool: str, *problems: str) -> Converted:
    """A conversion without result."""
    return Converted(source, None, tool, problems=problems)


def most_written(*sources: Path) -> int:
    """The size in bytes that no result of these needs: a converter that writes more is stopped."""
    return (2 << 30) + 40 * sum(source.stat().st_size for source in sources)


def fresh(path: Path) -> bool:
    """Whether something was really written: tools exit 0 without doing so."""
    return path.is_file() and path.stat().st_size > 0
