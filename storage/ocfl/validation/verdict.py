"""What validation finds out about one object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from packages.problem import Problem, Severity
from packages.problem_catalogue import standard_problem

__all__ = ["ObjectVerdict", "finding"]


def finding(code: str, where: str, found: str) -> Problem:
    """A finding under a code of the OCFL specification: E is an error, W a warning."""
    severity = Severity.WARNING if code.startswith("W") else Severity.ERROR
    return standard_problem(code, where, standard="OCFL 1.1", found=found, severity=severity)


@dataclass(slots=True)
class ObjectVerdict:
    """What was found. ``contents`` maps content paths to (size, digest) of the bytes read.

    The digest is by the inventory's own algorithm.
    """

    root: str
    object_id: str = ""
    head: str = ""
    spec: str = "1.1"
    inventory: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, tuple[int, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def report(self, code: str, found: str) -> None:
        """Add a finding; the same one twice counts once."""
        problem = finding(code, self.root or "object", found)
        if problem not in self.problems:
            self.problems.append(problem)
