"""Problems: what is wrong with something somebody gave us, said so that they can act on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a problem weighs."""

    ERROR = "error"
    """The package cannot be accepted as it is (a standard's MUST, or the agreement)."""
    WARNING = "warning"
    """Accepted, but somebody should know (a standard's SHOULD)."""
    INFO = "info"
    """Recorded for completeness."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding, for two readers."""

    code: str
    severity: Severity
    path: str
    expected: str
    found: str
    clause: str
    for_depositor: str
    for_operator: str

    def as_json(self) -> dict[str, str]:
        """The stable form of the ``--json`` contract."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "path": self.path,
            "expected": self.expected,
            "found": self.found,
            "clause": self.clause,
            "for_depositor": self.for_depositor,
            "for_operator": self.for_operator,
        }


def problem_from(record: Mapping[str, str]) -> Problem:
    """A finding, from its ``as_json``."""
    return Problem(**{**record, "severity": Severity(record["severity"])})  # type: ignore[arg-type]


_WEIGHT = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any of them forbids acceptance."""
    return any(problem.severity is Severity.ERROR for problem in problems)


def by_severity(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The same problems, gravest first, then by code and path, each once."""
    return tuple(sorted(set(problems), key=lambda p: (_WEIGHT[p.severity], p.code, p.path, p.found)))
