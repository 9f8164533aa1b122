"""Where everything is in an AIP: the one place that knows its paths.

An AIP is a bag whose payload is one folder, ``data/<OBJID>``, an E-ARK package (CSIP 2.2 §4).
Paths here are inside that folder; ``AipLayout`` gives those inside the bag, which OCFL calls logical.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packages.identifiers import PackageId

__all__ = [
    "AGREEMENT",
    "DESCRIPTIVE",
    "DUBLIN_CORE",
    "METS",
    "PREMIS",
    "SUBMITTED_REPRESENTATION",
    "SUBMITTED_TAG_FILES",
    "AipLayout",
    "archivematica_mets",
    "content_folder",
    "representation_folder",
    "representation_of",
]

METS = "METS.xml"
PREMIS = "metadata/preservation/premis.xml"
"""Of the package, and below its folder of each representation too."""
DESCRIPTIVE = "metadata/descriptive"
DUBLIN_CORE = f"{DESCRIPTIVE}/dc.xml"
AGREEMENT = "documentation/agreement.json"
SUBMITTED_TAG_FILES = "documentation/submission"
"""Below it everything the agency's bag held beside its payload, under its own names."""
SUBMITTED_REPRESENTATION = "rep1"
"""The representation the agency sent."""

_CONTENT = re.compile(r"data/[^/]+/representations/([^/]+)/data/(.+)", re.DOTALL)


def representation_folder(name: str) -> str:
    """The folder of a representation."""
    return f"representations/{name}"


def content_folder(name: str) -> str:
    """The folder of a representation's own files."""
    return f"representations/{name}/data"


def archivematica_mets(package: PackageId) -> str:
    """The METS in Archivematica's dialect, for packages that are small enough to have one."""
    return f"metadata/preservation/METS.{package.uuid}.xml"


def representation_of(logical: str) -> tuple[str, str] | None:
    """The representation a logical path belongs to and the file's own name in it; None for metadata."""
    found = _CONTENT.fullmatch(logical)
    return (found[1], found[2]) if found else None


@dataclass(frozen=True, slots=True)
class AipLayout:
    """The logical paths of one AIP."""

    package: PackageId

    @property
    def root(self) -> str:
        """The one folder of its payload."""
        return f"data/{self.package.objid}"

    def logical(self, path: str) -> str:
        """A path of this module, from the top of the bag."""
        return f"{self.root}/{path}"

    def content(self, representation: str) -> str:
        """The folder of a representation's own files, from the top of the bag."""
        return self.logical(content_folder(representation))
