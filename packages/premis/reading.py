"""Reading PREMIS 3 of any size, checking what its schema and our promises ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import BinaryIO

from lxml import etree

from packages.premis.writer import NAMESPACE
from packages.problem import Problem
from packages.problem_catalogue import problem

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
        document.problems.append(problem("XML-NOT-WELL-FORMED", path, found=str(error)))
        return document
    if not document.objects:
        document.problems.append(problem("PREMIS-SCHEMA", path, found="it describes no object"))
    return document


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
