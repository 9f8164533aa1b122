"""The rules of E-ARK CSIP for each file a METS refers to, judged while the document streams by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from packages.digest import DigestAlgorithm
from packages.mets.rules.engine import csip
from packages.mets.rules.rule import NAMESPACES
from packages.problems.problem import Problem, Severity

__all__ = ["FILE_CODES", "REFERENCE_CODES", "FileFindings", "ReferenceCodes"]

_METS = f"{{{NAMESPACES['mets']}}}"
_XLINK = f"{{{NAMESPACES['xlink']}}}"
_SIP = "{https://DILCIS.eu/XML/METS/SIPExtensionMETS}"
_LONGEST_TYPE = 256
# RFC 6838 §4.2, with the registered top-level types. The IANA list of subtypes grows every week
# and is not consulted.
_MEDIA_TYPE = re.compile(
    r"(?i)(application|audio|example|font|haptics|image|message|model|multipart|text|video)"
    r"/[a-z0-9][a-z0-9!#$&^_.+-]*(\s*;.*)?"
)
_FORMAT_ATTRIBUTES = (
    ("SIP32", "FILEFORMATNAME"),
    ("SIP33", "FILEFORMATVERSION"),
    ("SIP34", "FILEFORMATREGISTRY"),
    ("SIP35", "FILEFORMATKEY"),
)


@dataclass(frozen=True, slots=True)
class ReferenceCodes:
    """The numbers E-ARK gives to the same nine demands in one kind of reference."""

    locator: str
    link: str
    href: str
    mime: str
    size: str
    created: str
    checksum: str
    checksum_type: str


def _numbered(*numbers: int) -> ReferenceCodes:
    return ReferenceCodes(*(f"CSIP{number}" for number in numbers))


FILE_CODES = _numbered(77, 78, 79, 68, 69, 70, 71, 72)
REFERENCE_CODES = {
    f"{_METS}dmdSec": _numbered(22, 23, 24, 26, 27, 28, 29, 30),
    f"{_METS}digiprovMD": _numbered(36, 37, 38, 40, 41, 42, 43, 44),
    f"{_METS}rightsMD": _numbered(49, 50, 51, 53, 54, 55, 56, 57),
}
"""By the section an ``mdRef`` is in; other sections have no rules."""


class FileFindings:
    """Each defect once a document, with how many files have it: a million of them help nobody."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, Severity], tuple[str, int]] = {}

    def file(self, element: etree._Element, locators: Sequence[etree._Element]) -> None:
        """A ``mets:file`` with its ``FLocat``, of which there has to be one."""
        name = element.get("ID", "")
        if not name:
            self._add("CSIP67", "a file has no ID", name)
        if not locators:
            self._add("CSIP76", "a file has no FLocat", name)
        elif len(locators) > 1:
            self._add("CSIP76", "a file has more than one FLocat", name)
        self._described(element, FILE_CODES, name)
        for locator in locators:
            self._located(locator, FILE_CODES, name)
        for code, attribute in _FORMAT_ATTRIBUTES:
            if element.get(_SIP + attribute, "?").strip() == "":
                self._add(code, f"sip:{attribute} of a file is empty", name, Severity.WARNING)

    def reference(self, element: etree._Element, codes: ReferenceCodes) -> None:
        """An ``mdRef``, which is its own locator."""
        name = element.get("ID", "")
        self._described(element, codes, name)
        self._located(element, codes, name)

    def problems(self, path: str) -> Iterator[Problem]:
        """What was found so far, about the METS at ``path``."""
        for (code, text, severity), (first, number) in self._found.items():
            where = f" (ID {first})" if first else ""
            more = f", {number} in all" if number > 1 else ""
            yield csip(code, path, f"{text}{where}{more}", severity)

    def _located(self, locator: etree._Element, codes: ReferenceCodes, name: str) -> None:
        if locator.get("LOCTYPE") != "URL":
            self._add(codes.locator, "a reference is not LOCTYPE URL", name)
        if locator.get(f"{_XLINK}type") != "simple":
            self._add(codes.link, "a reference is not a simple link", name)
        href = locator.get(f"{_XLINK}href")
        if href is None:
            self._add(codes.href, "a reference has no href", name)
        elif not href:
            self._add(codes.href, "the href of a reference is empty", name, Severity.WARNING)

    def _described(self, element: etree._Element, codes: ReferenceCodes, name: str) -> None:
        kind = element.tag.rpartition("}")[2]
        for code, attribute in (
            (codes.mime, "MIMETYPE"),
            (codes.size, "SIZE"),
            (codes.created, "CREATED"),
            (codes.checksum, "CHECKSUM"),
            (codes.checksum_type, "CHECKSUMTYPE"),
        ):
            if not element.get(attribute):
                self._add(code, f"{kind} has no {attribute}", name)
        mime = element.get("MIMETYPE", "")
        if len(mime) > _LONGEST_TYPE:
            self._add(codes.mime, "a MIMETYPE is longer than 256 characters", name, Severity.WARNING)
        elif mime and not _MEDIA_TYPE.fullmatch(mime):
            self._add(codes.mime, "a MIMETYPE is no IANA media type", name)
        self._checksum(element, codes, name)

    def _checksum(self, element: etree._Element, codes: ReferenceCodes, name: str) -> None:
        """Wrong already by its form, whether the file is there or not."""
        checksum, kind = element.get("CHECKSUM", ""), element.get("CHECKSUMTYPE", "")
        algorithm = DigestAlgorithm.parse(kind)
        if not checksum or not kind:
            return
        if algorithm is None:
            self._add(codes.checksum_type, f"a {kind} cannot be checked", name, Severity.WARNING)
        elif not re.fullmatch(rf"[0-9A-Fa-f]{{{algorithm.hex_length}}}", checksum):
            self._add(codes.checksum, f"a CHECKSUM cannot be the {kind} it is said to be", name)

    def _add(self, code: str, text: str, name: str, severity: Severity = Severity.ERROR) -> None:
        first, number = self._found.get((code, text, severity), (name, 0))
        self._found[code, text, severity] = (first, number + 1)
