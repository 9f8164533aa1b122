"""The catalogue of problems, and its page."""

import re
from pathlib import Path

import pytest
from problem_page import render

from packages.problems.catalogue import catalogue, problem
from packages.problems.problem import Severity, by_severity, has_errors

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
            used |= set(re.findall(r'"((?:BAG|PATH|ARC|FMT|AGREE|XML|METS|PREMIS|STORE|VIRUS|LIST)-[A-Z-]+)"',
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


_RFC_8493 = {
    "2": "Structure", "2.1": "Required Elements", "2.1.1": "Bag Declaration: bagit.txt",
    "2.1.2": "Payload Directory: data/", "2.1.3": "Payload Manifest: manifest-algorithm.txt",
    "2.2": "Optional Elements", "2.2.1": "Tag Manifest: tagmanifest-algorithm.txt",
    "2.2.2": "Bag Metadata: bag-info.txt", "2.2.3": "Fetch File: fetch.txt", "2.2.4": "Other Tag Files",
    "2.3": "Text Tag File Format", "2.4": "Bag Checksum Algorithms", "3": "Complete and Valid Bags",
    "5.1": "Special Directory Characters", "5.2": "Control of URLs in fetch.txt", "5.3": "File Sizes in fetch.txt",
    "5.4": "Attacks on Payload File Content", "6.1.1": "Filename Normalization",
    "6.1.2": "Windows and Unix File Naming", "6.1.3": "Legacy Checksum Tools",
}  # fmt: skip
"""The sections of RFC 8493 that a finding can be about."""


def test_clauses_of_the_bagit_specification() -> None:
    """Each is a section that exists, and one that speaks of what the finding is about."""
    about = {
        "BAG-INFO": "2.2.2", "BAG-OXUM": "2.2.2", "BAG-FETCH": "2.2.3", "BAG-MANIFEST": "2.1.3",
        "BAG-DECLARATION": "2.1.1", "BAG-ALGORITHM": "2.4", "BAG-WEAK": "2.4", "PATH-ESCAPE": "5.1",
        "PATH-UNPORTABLE": "6.1.2", "PATH-COLLISION": "6.1.1", "BAG-DIGEST": "3", "BAG-FILE": "3",
    }  # fmt: skip
    for code, entry in catalogue().items():
        if entry.clause.startswith("RFC 8493"):
            section = entry.clause.removeprefix("RFC 8493 §")
            assert section in _RFC_8493, (code, section)
            for start, expected in about.items():
                if code.startswith(start) and not code.endswith("-PATH"):
                    assert section == expected, (code, section)
