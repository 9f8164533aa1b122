"""Reading a METS document of any size: rules over its skeleton, its files one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from lxml import etree

from packages.mets.csip_rules import FILE_RULES, check_rules, csip
from packages.paths import from_href
from packages.problem import Problem
from packages.problem_catalogue import problem
from schemas.xml import XmlRefused, parse
from schemas.xsd import mets_schema

_METS = "{http://www.loc.gov/METS/}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_REFERENCES = ("DMDID", "ADMID", "FILEID")
_PARSED_WHOLE = 1 << 20


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file a METS names. ``path`` is relative to the METS; empty strings where it is silent."""

    path: str
    size: str
    checksum: str
    checksum_type: str
    id: str


@dataclass(slots=True)
class MetsDocument:
    """What was read: the skeleton, the files, the findings."""

    root: etree._Element | None
    files: list[ListedFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def objid(self) -> str:
        """The package identifier."""
        return self.root.get("OBJID", "") if self.root is not None else ""


def read_mets(stream: BinaryIO, path: str, *, csip_rules: bool = True) -> MetsDocument:
    """Read a METS file with schema and, unless told otherwise, CSIP rules applied.

    Entities are refused before anything is expanded.
    """
    document = MetsDocument(None)
    head = stream.read(_PARSED_WHOLE)
    if b"<!DOCTYPE" in head:
        try:
            external = parse(head + stream.read()).external_dtd
            if external:
                document.problems.append(problem("XML-EXTERNAL-DTD", path, found=external))
        except XmlRefused as error:
            document.problems.append(problem(error.code, path, found=error.reason))
            return document
    stream.seek(0)
    # METS with PREMIS embedded cannot be judged without the PREMIS schema; it is read all the same.
    schema_findings = _schema_findings(stream, path) if csip_rules else []
    stream.seek(0)
    try:
        document.root = _collect(stream, path, document, csip_rules=csip_rules)
    except etree.XMLSyntaxError as error:
        document.problems.append(problem("XML-NOT-WELL-FORMED", path, found=str(error)))
        return document
    document.problems += schema_findings
    if csip_rules:
        document.problems += check_rules(document.root, path)
    document.problems += _dangling(document, path)
    return document


def _schema_findings(stream: BinaryIO, path: str) -> list[Problem]:
    """Schema validation as a stream; one finding, because the parser stops at the first."""
    events = etree.iterparse(
        stream, events=("end",), schema=mets_schema(), resolve_entities=False, no_network=True,
        load_dtd=False, huge_tree=True,
    )  # fmt: skip
    try:
        for _, element in events:
            if element.tag == f"{_METS}file":
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        return [problem("METS-SCHEMA", path, found=str(error))]
    return []


def _collect(stream: BinaryIO, path: str, document: MetsDocument, *, csip_rules: bool) -> etree._Element:
    events = etree.iterparse(
        stream, events=("end",), resolve_entities=False, no_network=True, load_dtd=False,
        huge_tree=True,
    )  # fmt: skip
    for _, element in events:
        if element.tag == f"{_METS}file":
            document.files.append(_listed(element, path, document, csip_rules=csip_rules))
            parent = element.getparent()
            if parent is not None:
                parent.remove(element)
        elif element.tag == f"{_METS}mdRef":
            document.files.append(_reference(element, element))
    root = events.root
    assert root is not None, "iterparse ended without a root"
    return cast(etree._Element, root)


def _listed(element: etree._Element, path: str, document: MetsDocument, *, csip_rules: bool) -> ListedFile:
    locator = element.find(f"{_METS}FLocat")
    if csip_rules:
        for code, attribute in FILE_RULES:
            if not element.get(attribute):
                document.problems.append(csip(code, path, f"a file has no {attribute}"))
        if locator is None:
            document.problems.append(csip("CSIP76", path, "a file has no FLocat"))
    return _reference(element, locator if locator is not None else element)


def _reference(described: etree._Element, located: etree._Element) -> ListedFile:
    return ListedFile(
        path=from_href(located.get(_HREF, "")),
        size=described.get("SIZE", ""),
        checksum=described.get("CHECKSUM", "").lower(),
        checksum_type=described.get("CHECKSUMTYPE", ""),
        id=described.get("ID", ""),
    )


def _dangling(document: MetsDocument, path: str) -> Iterator[Problem]:
    """libxml2 does not check IDREF; so we do."""
    root = document.root
    assert root is not None, "only called on a parsed document"
    known = {file.id for file in document.files}
    elements = [element for element in root.iter() if isinstance(element.tag, str)]
    known |= {element.get("ID", "") for element in elements}
    for element in elements:
        for name in _REFERENCES:
            for target in element.get(name, "").split():
                if target not in known:
                    yield problem("METS-IDREF", path, found=target)
