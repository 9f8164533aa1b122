"""Reading a METS document of any size: rules over its skeleton, its files one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from lxml import etree

from packages.mets.rules.engine import check_rules
from packages.mets.rules.files import FILE_CODES, REFERENCE_CODES, FileFindings, ReferenceCodes
from packages.mets.rules.rule import NAMESPACES, PackageContext
from packages.paths import from_href
from packages.problems.catalogue import problem
from packages.problems.problem import Problem
from schemas.xml import XmlRefused, has_doctype, parse, require_memory
from schemas.xsd import mets_schema

__all__ = ["ALONE", "ListedFile", "MetsDocument", "file_dates", "read_mets"]

_METS = "{http://www.loc.gov/METS/}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_REFERENCES = ("DMDID", "ADMID", "FILEID")
_PARSED_WHOLE = 1 << 20
ALONE = PackageContext()
"""A package's METS of whose package nothing is known."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file a METS names. ``path`` is relative to the METS; empty strings where it is silent.

    ``codes`` are the numbers of the E-ARK rules for this kind of reference, where there are any.
    """

    path: str
    size: str
    checksum: str
    checksum_type: str
    id: str
    codes: ReferenceCodes | None = None


_OF_EARK = (
    "boolean(@*[namespace-uri()=$csip] | mets:metsHdr/@*[namespace-uri()=$csip])"
    " or boolean(mets:structMap[@LABEL='CSIP'])"
    " or contains(translate(@PROFILE, 'EARK-', 'eark'), 'eark')"
).replace("$csip", f"'{NAMESPACES['csip']}'")
_OF_ARCHIVEMATICA = "boolean(mets:structMap[@TYPE='physical'][.//mets:div[@TYPE='Directory']])"
ARCHIVEMATICA = "Archivematica"
_DIALECTS = (
    ("DSpace", "dspace"), ("Islandora", "islandora"), ("Fedora", "info:fedora"),
    ("Rosetta", "exlibrisgroup"),
    ("Goobi or Kitodo", "goobi"), ("Goobi or Kitodo", "kitodo"), ("DFG Viewer", "dfg-viewer"),
    ("DAITSS", "daitss"), ("MediaHaven", "mediahaven"),
)  # fmt: skip
"""Words of profiles, namespaces and agents that tell which program a METS is from."""


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

    @property
    def dialect(self) -> str:
        """Whose METS this is; empty for E-ARK's, which says so in its profile, its structMap or by the
        attributes that E-ARK added to METS."""
        if (
            self.root is None
            or self.root.tag != f"{_METS}mets"
            or self.root.xpath(_OF_EARK, namespaces=NAMESPACES)
        ):
            return ""
        if self.root.xpath(_OF_ARCHIVEMATICA, namespaces=NAMESPACES):
            return ARCHIVEMATICA
        names = [self.root.get("PROFILE", ""), self.root.get("TYPE", ""), *self.root.nsmap.values()]
        names += [part.text or "" for part in self.root.iterfind("mets:metsHdr/mets:agent/*", NAMESPACES)]
        said = " ".join(names).lower()
        return next((name for name, mark in _DIALECTS if mark in said), "a dialect of its own")

    @property
    def pointers(self) -> list[str]:
        """The METS files this one points at, relative to it."""
        if self.root is None:
            return []
        return [from_href(pointer.get(_HREF, "")) for pointer in self.root.iter(f"{_METS}mptr")]


def read_mets(
    stream: BinaryIO, path: str, *, csip_rules: bool = True, package: PackageContext = ALONE
) -> MetsDocument:
    """Read a METS file; schema and CSIP rules are applied unless it is, or is said to be, no E-ARK METS.

    Entities are refused before anything is expanded.
    """
    document = MetsDocument(None)
    refused = _prologue(stream, path, document)
    if refused:
        return document
    stream.seek(0)
    findings = FileFindings()
    try:
        document.root = _collect(stream, document, findings)
    except etree.XMLSyntaxError as error:
        require_memory(error)
        document.problems.append(problem("XML-NOT-WELL-FORMED", path, found=str(error)))
        return document
    if csip_rules and not document.dialect:
        stream.seek(0)
        # METS with PREMIS embedded cannot be judged without the PREMIS schema; it is read all the same.
        document.problems += _schema_findings(stream, path)
        document.problems += findings.problems(path)
        document.problems += check_rules(document.root, path, package)
    document.problems += _dangling(document, path)
    return document


def file_dates(stream: BinaryIO) -> Iterator[tuple[str, str]]:
    """(path, CREATED) of every file that one of our own METS names, one at a time (METS ``file/@CREATED``:
    when the file itself was made)."""
    events = etree.iterparse(
        stream, events=("end",), tag=f"{_METS}file", resolve_entities=False, no_network=True,
        load_dtd=False, huge_tree=True,
    )  # fmt: skip
    for _, element in events:
        locator = element.find(f"{_METS}FLocat")
        if locator is not None:
            yield from_href(locator.get(_HREF, "")), element.get("CREATED", "")
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def _prologue(stream: BinaryIO, path: str, document: MetsDocument) -> bool:
    """Whether the document must not be read any further, because of what its DOCTYPE declares."""
    head = stream.read(_PARSED_WHOLE)
    stream.seek(0)
    # What is not reached is no DOCTYPE: reading the document will say what is wrong.
    if b"<!DOCTYPE" not in head and not has_doctype(stream):
        return False
    stream.seek(0)
    try:
        external = parse(stream.read()).external_dtd
    except XmlRefused as error:
        document.problems.append(problem(error.code, path, found=error.reason))
        return True
    if external:
        document.problems.append(problem("XML-EXTERNAL-DTD", path, found=external))
    return False


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
        require_memory(error)
        return [problem("METS-SCHEMA", path, found=str(error))]
    return []


def _collect(stream: BinaryIO, document: MetsDocument, findings: FileFindings) -> etree._Element:
    events = etree.iterparse(
        stream, events=("end",), resolve_entities=False, no_network=True, load_dtd=False,
        huge_tree=True,
    )  # fmt: skip
    for _, element in events:
        if element.tag == f"{_METS}file":
            locators = element.findall(f"{_METS}FLocat")
            findings.file(element, locators)
            for located in locators or [element]:
                document.files.append(_reference(element, located, FILE_CODES))
            parent = element.getparent()
            # The first of a group stays: rules ask whether there is one.
            if parent is not None and parent.find(f"{_METS}file") is not element:
                parent.remove(element)
        elif element.tag == f"{_METS}mdRef":
            codes = REFERENCE_CODES.get(_section(element))
            if codes:
                findings.reference(element, codes)
            document.files.append(_reference(element, element, codes))
    root = events.root
    assert root is not None, "iterparse ended without a root"
    return cast(etree._Element, root)


def _section(reference: etree._Element) -> str:
    parent = reference.getparent()
    return str(parent.tag) if parent is not None else ""


def _reference(
    described: etree._Element, located: etree._Element, codes: ReferenceCodes | None
) -> ListedFile:
    return ListedFile(
        path=from_href(located.get(_HREF, "")),
        size=described.get("SIZE", ""),
        checksum=described.get("CHECKSUM", "").lower(),
        checksum_type=described.get("CHECKSUMTYPE", ""),
        id=described.get("ID", ""),
        codes=codes,
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
