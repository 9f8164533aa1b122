"""The numbers and weights of E-ARK's rules against E-ARK's own profiles, as eark-validator brings them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lxml import etree

from packages.mets.rules.files import FILE_CODES, REFERENCE_CODES
from packages.mets.rules.table import PROFILE_RULES, RULES
from packages.problems.catalogue import catalogue
from packages.problems.problem import Severity

_PROFILE = "{http://www.loc.gov/METS_Profile/v2}"
_MILDER = {
    "CSIP60": "of a representation: its documentation is usually the package's",
    "CSIP113": "of a representation, as CSIP60",
    "CSIP114": "of a representation, as CSIP60",
    "CSIP64": "of a representation: its groups may be called Data",
    "CSIP6": "any address of a profile is allowed; one that is not E-ARK's is worth a word",
    "CSIP1": "that a representation's OBJID is its folder's name follows from CSIPSTR10, a SHOULD",
}
"""Rules of which a part is a warning although the requirement is a MUST, and why."""
_STRICTER = {
    "CSIP3": "its text has a MUST: without csip:OTHERTYPE nobody knows what TYPE Other is",
    "CSIP4": "a MUST for a representation, by its text; and a value outside of the vocabulary is wrong",
    "CSIP8": "a date in the future is wrong, whether or not one has to be there",
    "CSIP17": "“must be used if descriptive metadata is available”",
    "CSIP20": "a value outside of the vocabulary is wrong",
    "CSIP21": "descriptive metadata that nothing refers to",
    "CSIP31": "“if available, it must be described”",
    "CSIP34": "a value outside of the vocabulary is wrong",
    "CSIP47": "a value outside of the vocabulary is wrong",
    "CSIP63": "its text has a MUST, and the vocabulary holds",
}
"""Rules of which a part is an error although the requirement is a SHOULD or MAY, and why."""


def _levels(judges: Path, version: str) -> dict[str, str]:
    (folder,) = judges.glob(
        f"schemas/lib/python3*/site-packages/eark_validator/ipxml/resources/profiles/{version}"
    )
    levels: dict[str, str] = {}
    for name in ("CSIP", "SIP", "DIP"):
        document = etree.parse(folder / f"E-ARK-{name}.xml")
        for requirement in document.iter(f"{_PROFILE}requirement"):
            if requirement.get("ID"):
                levels[requirement.get("ID", "")] = requirement.get("REQLEVEL", "")
    return levels


@pytest.mark.parametrize(("version", "number"), [("V2.0.4", (2, 0)), ("V2.1.0", (2, 1))])
def test_a_must_is_an_error_and_nothing_else_is(
    judges: Path, version: str, number: tuple[int, int]
) -> None:
    """Every rule has a number of the profile and its weight, but for those that say why not."""
    levels = _levels(judges, version)
    milder, stricter = set(), set()
    rules = [*RULES, *(rule for rules in PROFILE_RULES.values() for rule in rules)]
    for rule in rules:
        if rule.code.startswith("AIP") or not rule.since <= number < rule.before:
            continue
        must = levels[rule.code] == "MUST"
        if must and rule.severity is not Severity.ERROR:
            milder.add(rule.code)
        if not must and rule.severity is Severity.ERROR:
            stricter.add(rule.code)
    assert milder == _MILDER.keys()
    assert stricter == _STRICTER.keys()


def test_every_reference_has_the_numbers_of_its_section(judges: Path) -> None:
    """What is demanded of files and of references to metadata is a MUST under each of these numbers."""
    levels = _levels(judges, "V2.1.0")
    for codes in (FILE_CODES, *REFERENCE_CODES.values()):
        for name in codes.__slots__:
            assert levels[getattr(codes, name)] == "MUST", name


def test_clauses_of_the_catalogue_exist(judges: Path) -> None:
    """A receipt cites no requirement that there is not."""
    levels = _levels(judges, "V2.1.0")
    for kind in catalogue().values():
        for clause in re.findall(r"\b(?:CSIP|SIP|DIP)\d+\b", kind.clause):
            assert clause in levels, kind.code
