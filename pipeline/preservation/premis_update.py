"""A package's PREMIS with what an update adds: an event, who made it, a representation."""

from __future__ import annotations

from dataclasses import replace

from lxml import etree

from packages.premis import Event, EventType
from packages.premis.records import AgentRole, RelationshipSubType, person_agent
from packages.premis.writer import (
    NAMESPACE,
    agent_element,
    event_element,
    related_identifier,
    representation_object,
)
from pipeline.context import IngestContext
from pipeline.preservation.added_representation import AddedRepresentation
from schemas.xml import parse

__all__ = ["updated_premis"]

_P = f"{{{NAMESPACE}}}"
_ROOT = f' xmlns:premis="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def updated_premis(
    content: bytes,
    *,
    kind: EventType,
    detail: str,
    person: str,
    added: AddedRepresentation | None,
    context: IngestContext,
    entity: str,
) -> bytes:
    """The document with the update's events, their agents, and the added representation.

    The order PREMIS asks for is kept: objects, events, agents, rights. Raises XmlRefused.
    """
    root = parse(content).root
    who = person_agent(person.strip())
    subject = added.representation.id if added else entity
    update = context.report("update")
    event = update.event(kind, detail, objects=(subject,), agent=who)
    event = replace(event, agents=((who.id, AgentRole.IMPLEMENTER),))
    if added:
        _insert(root, "object", representation_object(added.representation, entity, root=_ROOT))
        _include(root, added.representation.id)
    of_files = {earlier.id for earlier in added.file_events} if added else set()
    for earlier in added.report.events if added else ():
        if earlier.id not in of_files:
            _insert(root, "event", event_element(_about(earlier, subject), root=_ROOT))
    _insert(root, "event", event_element(event, root=_ROOT))
    known = {element.text for element in root.iter(f"{_P}agentIdentifierValue")}
    for agent in (*(added.report.agents if added else ()), *update.agents):
        if agent.id not in known:
            _insert(root, "agent", agent_element(agent, root=_ROOT))
    etree.cleanup_namespaces(root, keep_ns_prefixes=["premis", "xsi"])
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _about(event: Event, subject: str) -> Event:
    return event if event.objects else replace(event, objects=(subject,))


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
