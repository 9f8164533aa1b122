"""One file of a package, as every later stage and every standard's writer sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What a file is, and how we know. An unknown format is an explicit value, never an absence."""

    puid: str | None
    name: str
    version: str
    mime: str
    basis: str
    warning: str

    @property
    def is_known(self) -> bool:
        """Whether a registry has an entry for it."""
        return self.puid is not None

    @property
    def registry(self) -> str:
        """Whose name the PUID is: PRONOM's, or that of a signature of our own."""
        return "Stele local signatures" if (self.puid or "").startswith("local/") else "PRONOM"


UNKNOWN_FORMAT = FileFormat(None, "unknown", "", "", "", "no match in PRONOM")


@dataclass(frozen=True, slots=True)
class FileValidation:
    """What tools said of a file: ``validity`` in our words, by which tools, and facts they read.

    ``facts`` are pairs such as (``pages``, ``3``): PREMIS calls them significant properties.
    """

    validity: str
    tool: str
    messages: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def pages_and_seconds(facts: Mapping[str, str]) -> tuple[int, int]:
    """How many pages a document has, how many whole seconds a sound or film lasts; 0 for others."""
    pages, seconds = facts.get("pages", ""), facts.get("duration", "").partition(".")[0]
    return int(pages) if pages.isdecimal() else 0, int(seconds) if seconds.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A content file with its fixity and format; ``validation`` where a tool looked at it.

    ``path`` is its name in the representation, ``original`` as the agency sent it,
    ``size`` bytes, ``sha512`` hexadecimal, ``modified`` in UTC, ``id`` a UUID.
    """

    id: str
    path: str
    original: str
    size: int
    sha512: str
    modified: datetime
    format: FileFormat
    validation: FileValidation | None = None
    source: str = ""
    """The UUID of the file it was made from; empty for what the agency sent."""

    @property
    def mime(self) -> str:
        """Media type for METS, where the attribute is obligatory (CSIP68)."""
        return self.format.mime or "application/octet-stream"


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """A file about the content: METS references it with its fixity. ``path`` is from the package root."""

    path: str
    size: int
    sha512: str
    mime: str

    def below(self, folder: str) -> MetadataFile:
        """The same file with its path relative to ``folder``, as a METS in there names it."""
        return replace(self, path=self.path.removeprefix(f"{folder}/"))


def timestamp(moment: datetime) -> str:
    """``xs:dateTime`` in UTC with Z, whole seconds. ``moment`` must be aware and in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment.year >= 1000 else "1970-01-01T00:00:00Z"
