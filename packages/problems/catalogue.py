"""Every problem code we can report, with its clause and its two texts.

``docs/reference/problems.md`` is generated from this table; a test compares the two.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from packages.problems.problem import Problem, Severity


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What one code means, whoever meets it."""

    code: str
    severity: Severity
    clause: str
    for_depositor: str
    for_operator: str


@cache
def catalogue() -> dict[str, ProblemKind]:
    """All kinds by code, in the order of the table."""
    text = files("packages.problems").joinpath("catalogue.tsv").read_text("utf-8")
    rows = csv.reader(
        (line for line in text.splitlines() if line and not line.startswith("#")),
        delimiter="\t",
        quoting=csv.QUOTE_NONE,
    )
    next(rows)
    return {
        code: ProblemKind(code, Severity(severity), clause, depositor, operator)
        for code, severity, clause, depositor, operator in rows
    }


def problem(code: str, path: str = "", *, expected: str = "", found: str = "", clause: str = "") -> Problem:
    """Build a problem of a known kind.

    ``{path}``, ``{expected}`` and ``{found}`` in the kind's texts are filled in.
    Raises KeyError for a code the catalogue lacks: that is a programmer's mistake.
    """
    kind = catalogue()[code]
    facts = {"path": path, "expected": expected, "found": found}
    return Problem(
        code=code,
        severity=kind.severity,
        path=path,
        expected=expected,
        found=found,
        clause=clause or kind.clause,
        for_depositor=kind.for_depositor.format(**facts),
        for_operator=kind.for_operator.format(**facts),
    )


def standard_problem(
    code: str, path: str, *, standard: str, found: str, severity: Severity = Severity.ERROR
) -> Problem:
    """A finding under a code that a standard numbers itself (E-ARK ``CSIP…``, OCFL ``E…``)."""
    return Problem(
        code=code,
        severity=severity,
        path=path,
        expected=f"{standard} {code}",
        found=found,
        clause=f"{standard} {code}",
        for_depositor=f"{path}: {found}.",
        for_operator=f"{standard} rule {code} broken in {path}: {found}.",
    )
