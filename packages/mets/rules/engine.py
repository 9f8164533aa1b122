"""Judging one METS document by the rules of E-ARK CSIP, and of the profile it declares."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from lxml import etree

from packages.mets.rules.rule import NAMESPACES, PackageContext, Rule
from packages.mets.rules.table import PROFILE_RULES, RULES
from packages.problems.catalogue import standard_problem
from packages.problems.problem import Problem, Severity

__all__ = ["check_package_type", "check_rules", "csip"]

_METS = "{http://www.loc.gov/METS/}"
_PROFILE_PART = {"SIP": "E-ARK-SIP", "AIP": "E-ARK-AIP", "DIP": "E-ARK-DIP"}
_PROFILE = re.compile(r"E-ARK-(?:CSIP|SIP|AIP|DIP)(?:-v(\d)-(\d)-\d)?")
_BEARERS_OF_ADMID = (
    ("CSIP61", "mets:fileSec/mets:fileGrp[@ADMID]"),
    ("CSIP91", "mets:structMap[@LABEL='CSIP']/mets:div/mets:div[@LABEL='Metadata'][@ADMID]"),
)
# An E-ARK address without a number is from before 2.2, which asks for the numbered one.
_UNNUMBERED = (2, 1)
_CURRENT = (2, 2)


def check_rules(root: etree._Element, path: str, package: PackageContext) -> Iterator[Problem]:
    """Every rule over the document, of whose groups only the first ``mets:file`` each is left."""
    if root.tag != f"{_METS}mets":
        yield csip("CSIPSTR4", path, "the root element is not mets of the METS namespace")
        return
    yield from _broken(root, path, package, RULES)
    yield from _administrative_references(root, path)
    if not package.representation:
        for part, rules in PROFILE_RULES.items():
            if part in root.get("PROFILE", ""):
                yield from _broken(root, path, package, rules)


def _broken(
    root: etree._Element, path: str, package: PackageContext, rules: Iterable[Rule]
) -> Iterator[Problem]:
    version = _version(root)
    variables = package.variables()
    for rule in rules:
        if not rule.since <= version < rule.before:
            continue
        for node in _select(root, rule.each, variables):
            if not node.xpath(f"boolean({rule.holds})", namespaces=NAMESPACES, **variables):
                yield csip(rule.code, path, rule.text, rule.severity)
                break


def _version(root: etree._Element) -> tuple[int, int]:
    """The version of CSIP a document declares in its profile's address; else it is judged by the last."""
    profile = _PROFILE.search(root.get("PROFILE", ""))
    if profile is None:
        return _CURRENT
    return (int(profile[1]), int(profile[2])) if profile[1] else _UNNUMBERED


def _administrative_references(root: etree._Element, path: str) -> Iterator[Problem]:
    """CSIP61, CSIP91: an ADMID, where there is one, names administrative metadata."""
    known = {section.get("ID") for section in _select(root, "mets:amdSec | mets:amdSec/*", {})}
    for code, bearers in _BEARERS_OF_ADMID:
        for bearer in _select(root, bearers, {}):
            wrong = [name for name in bearer.get("ADMID", "").split() if name not in known]
            if wrong:
                found = f"an ADMID names {', '.join(wrong)}, which is no administrative metadata"
                yield csip(code, path, found, Severity.WARNING)


def check_package_type(root: etree._Element, path: str, expected: str) -> Iterator[Problem]:
    """AIPM2, AIPM3 and their SIP and DIP counterparts, for a package that has to be of one type."""
    profile = root.get("PROFILE", "")
    if _PROFILE_PART[expected] not in profile:
        yield csip(f"{expected}M2" if expected == "AIP" else f"{expected}2", path, f"PROFILE {profile}")
    for header in _select(root, "mets:metsHdr", {}):
        found = header.get(f"{{{NAMESPACES['csip']}}}OAISPACKAGETYPE", "")
        if found and found != expected:
            yield csip("AIPM3" if expected == "AIP" else "CSIP9", path, f"package type {found}")


def _select(root: etree._Element, expression: str, variables: Mapping[str, Any]) -> list[etree._Element]:
    # XPath 1.0 takes no predicate after a dot.
    spelled = f"self::node(){expression[1:]}" if expression.startswith(".") else expression
    found = root.xpath(spelled, namespaces=NAMESPACES, **variables)
    return cast("list[etree._Element]", found)


def csip(code: str, path: str, found: str, severity: Severity = Severity.ERROR) -> Problem:
    """A finding under an E-ARK rule."""
    return standard_problem(code, path, standard="E-ARK CSIP/AIP 2.2.0", found=found, severity=severity)
