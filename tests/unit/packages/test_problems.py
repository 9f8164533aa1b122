"""The catalogue of problems, and its page."""

import re
from pathlib import Path

import pytest
from problem_page import render

from packages.problem import Severity, by_severity, has_errors
from packages.problem_catalogue import catalogue, problem

_ROOT = Path(__file__).parent.parent.parent.parent


@pytest.mark.parametrize("code", catalogue())
def test_every_kind_can_be_reported(code: str) -> None:
    """Texts fill in, for both readers, and a clause is named."""
    made = problem(code, "p", expected="e", found="f")
    assert made.for_depositor
    assert made.for_operator
    assert made.clause
    assert "{" not in made.for_depositor + made.for_operator


def test_every_code_used_is_in_the_catalogue() -> None:
    """No stage reports a code nobody documented, and none is documented in vain."""
    used: set[str] = set()
    for folder in ("packages", "pipeline", "storage", "schemas"):
        for source in (_ROOT / folder).rglob("*.py"):
            used |= set(re.findall(r'"((?:BAG|PATH|ARC|FMT|AGREE|XML|METS|PREMIS|STORE|VIRUS)-[A-Z-]+)"',
                                   source.read_text("utf-8")))  # fmt: skip
    assert used - set(catalogue()) <= {"PATH-", "ARC-"}
    assert not {code for code in catalogue() if code not in used}


def test_the_page_is_up_to_date() -> None:
    """docs/reference/problems.md is generated."""
    assert (_ROOT / "docs/reference/problems.md").read_text("utf-8") == render()


def test_sorting_puts_errors_first() -> None:
    """And duplicates appear once."""
    warning, error = problem("BAG-INFO-OPTIONAL"), problem("BAG-NO-MANIFEST")
    assert [p.severity for p in by_severity([warning, error, error])] == [Severity.ERROR, Severity.WARNING]
    assert has_errors([warning, error])
    assert not has_errors([warning])
