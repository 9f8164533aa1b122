"""What is added to a PREMIS document that exists: events, their agents, a representation."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from packages.premis.records import Agent, Event, RelationshipSubType, Representation
from packages.premis.writer import (
    NAMESPACE,
    agent_element,
    event_element,
    related_identifier,
    representation_object,
)
from schemas.xml import parse

__all__ = ["premis_with"]

_P = f"{{{NAMESPACE}}}"
_ROOT = f' xmlns:premis="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def premis_with(
    content: bytes,
    *,
    entity: str,
    representation: Representation | None,
    events: Sequence[Event],
    agents: Sequence[Agent],
) -> bytes:
    """The document and what is added; the intellectual entity ``entity`` includes the representation.

    The order PREMIS asks for is kept: objects, events, agents, rights. Agents that it knows are not
    repeated. Raises XmlRefused.
    """
    root = parse(content).root
    if representation:
        _insert(root, "object", representation_object(representation, entity, root=_ROOT))
        _include(root, representation.id)
    for event in events:
        _insert(root, "event", event_element(event, root=_ROOT))
    known = {element.text for element in root.iter(f"{_P}agentIdentifierValue")}
    for agent in agents:
        if agent.id not in known:
            known.add(agent.id)
            _insert(root, "agent", agent_element(agent, root=_ROOT))
    etree.cleanup_namespaces(root, keep_ns_prefixes=["premis", "xsi"])
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _insert(root: etree._Element, name: str, xml: str) -> None:
    """Behind the last of its kind; each kind occurs, because every AIP of ours has one."""
    last = root.findall(f"{_P}{name}")[-1]
    last.addnext(etree.fromstring(xml))


def _include(root: etree._Element, representation: str) -> None:
    """The entity includes one representation more."""
    for relationship in root.iter(f"{_P}relationship"):
        sub_type = relationship.find(f"{_P}relationshipSubType")
        if sub_type is not None and sub_type.text == RelationshipSubType.INCLUDES.label:
            relationship.append(etree.fromstring(related_identifier(representation, root=_ROOT)))
            return
