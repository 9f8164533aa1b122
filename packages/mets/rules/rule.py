"""What a rule of E-ARK CSIP is, and what it may ask about the package around a METS document."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from packages.problems.problem import Severity

__all__ = ["NAMESPACES", "NO_END", "PackageContext", "Rule"]

NAMESPACES: Final = {
    "mets": "http://www.loc.gov/METS/",
    "xlink": "http://www.w3.org/1999/xlink",
    "csip": "https://DILCIS.eu/XML/METS/CSIPExtensionMETS",
}
Version = tuple[int, int]
NO_END: Final[Version] = (9, 9)


@dataclass(frozen=True, slots=True)
class Rule:
    """``each`` selects the nodes the rule is about, ``holds`` must be true at each of them.

    It holds from version ``since`` on and no longer from version ``before`` on.
    """

    code: str
    each: str
    holds: str
    text: str
    severity: Severity = Severity.ERROR
    since: Version = (2, 0)
    before: Version = NO_END


@dataclass(frozen=True, slots=True)
class PackageContext:
    """What is around a METS document: whose METS it is, and which folders of the package hold files.

    ``today`` as a number (20261231); zero where nobody wants to know. ``folder`` is the name of a
    representation's folder.
    """

    representation: bool = False
    descriptive: bool = False
    preservation: bool = False
    documentation: bool = False
    schemas: bool = False
    today: int = 0
    folder: str = ""

    def variables(self) -> dict[str, Any]:
        """As XPath variables."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
