"""Reading PREMIS 3 of any size, checking what its schema and our promises ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from lxml import etree

from packages.package_file import FileFormat
from packages.premis.records import RelationshipSubType
from packages.premis.writer import MIME_NOTE, NAMESPACE, VALIDITY_NOTE
from packages.problems.catalogue import problem
from packages.problems.problem import Problem
from schemas.xml import require_memory

_P = f"{{{NAMESPACE}}}"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_REQUIRED_IN_EVENT = ("eventIdentifier", "eventType", "eventDateTime")


@dataclass(slots=True)
class PremisDocument:
    """What was read. ``digests`` maps a file object's UUID to its SHA-512."""

    digests: dict[str, str] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    linked_agents: set[str] = field(default_factory=set)
    linked_objects: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def read_premis(stream: BinaryIO, path: str) -> PremisDocument:
    """Read a PREMIS file; links are collected, because their targets may be in another file."""
    document = PremisDocument()
    reader = {
        f"{_P}object": _object,
        f"{_P}event": _event,
        f"{_P}agent": _agent,
        f"{_P}rights": _rights,
    }
    try:
        events = etree.iterparse(
            stream, events=("end",), resolve_entities=False, no_network=True, load_dtd=False,
            huge_tree=True,
        )  # fmt: skip
        for _, element in events:
            handle = reader.get(str(element.tag))
            if handle:
                handle(element, path, document)
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        require_memory(error)
        document.problems.append(problem("XML-NOT-WELL-FORMED", path, found=str(error)))
        return document
    if not document.objects:
        document.problems.append(problem("PREMIS-SCHEMA", path, found="it describes no object"))
    return document


@dataclass(frozen=True, slots=True)
class PremisFile:
    """A file object as it was described; ``original`` is the name it came with."""

    id: str
    original: str
    size: int
    sha512: str
    format: FileFormat
    validity: str
    """In our words; empty where no tool looked at it."""
    facts: dict[str, str]
    """Significant properties: pages, width, duration…"""
    source: str
    """The UUID of the file it was made from; empty for what the agency sent."""


@dataclass(frozen=True, slots=True)
class PremisEvent:
    """An event in words: labels of the vocabulary, ``time`` as written."""

    id: str
    type: str
    time: str
    outcome: str
    detail: str
    note: str


def iter_files(stream: BinaryIO) -> Iterator[PremisFile]:
    """The file objects of a PREMIS document, one at a time.

    Raises lxml.etree.XMLSyntaxError; KeyError for a file object without the parts we write.
    """
    for element in _each(stream, "object"):
        if not (element.get(_TYPE) or "").endswith("file"):
            continue
        first = _first_texts(element)
        known = FileFormat(
            first.get("formatRegistryKey") or None, first.get("formatName", "unknown"),
            first.get("formatVersion", ""), _note(element, MIME_NOTE), "", "",
        )  # fmt: skip
        yield PremisFile(
            first["objectIdentifierValue"], first.get("originalName", ""), int(first["size"]),
            first["messageDigest"], known, _note(element, VALIDITY_NOTE).partition(",")[0],
            _facts(element), _source(element),
        )  # fmt: skip


def _facts(element: etree._Element) -> dict[str, str]:
    found = element.iterfind(f"{_P}significantProperties")
    return {
        one.findtext(f"{_P}significantPropertiesType", ""): one.findtext(
            f"{_P}significantPropertiesValue", ""
        )
        for one in found
    }


def _source(element: etree._Element) -> str:
    for relationship in element.iter(f"{_P}relationship"):
        if relationship.findtext(f"{_P}relationshipSubType") == RelationshipSubType.HAS_SOURCE.label:
            return _texts(relationship, "relatedObjectIdentifierValue")[0]
    return ""


def _note(element: etree._Element, start: str) -> str:
    """What stands behind these words in a format note; nothing where no note begins with them."""
    notes = (note for note in _texts(element, "formatNote") if note.startswith(start))
    return next(notes, "").removeprefix(start)


def iter_events(stream: BinaryIO) -> Iterator[PremisEvent]:
    """The events of a PREMIS document, one at a time. Raises as ``iter_files``."""
    for element in _each(stream, "event"):
        first = _first_texts(element)
        yield PremisEvent(
            first["eventIdentifierValue"], first["eventType"], first["eventDateTime"],
            first.get("eventOutcome", ""), first.get("eventDetail", ""),
            first.get("eventOutcomeDetailNote", ""),
        )  # fmt: skip


def _each(stream: BinaryIO, name: str) -> Iterator[etree._Element]:
    tags = [f"{_P}{one}" for one in ("object", "event", "agent", "rights")]
    events = etree.iterparse(
        stream, tag=tags, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True
    )
    for _, element in events:
        if element.tag == f"{_P}{name}":
            yield element
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]


def _first_texts(element: etree._Element) -> dict[str, str]:
    """The first text of each kind of element below."""
    return {str(e.tag).removeprefix(_P): e.text or "" for e in reversed(list(element.iter()))}


def _texts(element: etree._Element, name: str) -> list[str]:
    return [found.text or "" for found in element.iter(f"{_P}{name}")]


def _object(element: etree._Element, path: str, document: PremisDocument) -> None:
    identifiers = _texts(element, "objectIdentifierValue")
    if not identifiers:
        document.problems.append(problem("PREMIS-SCHEMA", path, found="an object has no identifier"))
        return
    document.objects.add(identifiers[0])
    if (element.get(_TYPE) or "").endswith("file"):
        digests = _texts(element, "messageDigest")
        if not digests or not _texts(element, "size"):
            found = f"object {identifiers[0]} has no fixity or no size"
            document.problems.append(problem("PREMIS-SCHEMA", path, found=found))
        else:
            document.digests[identifiers[0]] = digests[0]


def _event(element: etree._Element, path: str, document: PremisDocument) -> None:
    children = {str(child.tag) for child in element}
    for name in _REQUIRED_IN_EVENT:
        if f"{_P}{name}" not in children:
            document.problems.append(problem("PREMIS-SCHEMA", path, found=f"an event has no {name}"))
    for moment in _texts(element, "eventDateTime"):
        if not _MOMENT.fullmatch(moment):
            document.problems.append(problem("PREMIS-SCHEMA", path, found=f"no time: “{moment}”"))
    agents = _texts(element, "linkingAgentIdentifierValue")
    if not agents:
        document.problems.append(problem("PREMIS-LINK", path, found="an event without any agent"))
    document.linked_agents.update(agents)
    document.linked_objects.update(_texts(element, "linkingObjectIdentifierValue"))


def _agent(element: etree._Element, path: str, document: PremisDocument) -> None:
    document.agents.update(_texts(element, "agentIdentifierValue"))


def _rights(element: etree._Element, path: str, document: PremisDocument) -> None:
    document.linked_objects.update(_texts(element, "linkingObjectIdentifierValue"))
    document.linked_agents.update(_texts(element, "linkingAgentIdentifierValue"))
