"""What an update adds to a package's PREMIS: its events, who made it, a representation."""

from __future__ import annotations

from dataclasses import replace

from packages.premis import Event, EventType
from packages.premis.additions import premis_with
from packages.premis.records import AgentRole, person_agent
from pipeline.context import IngestContext
from pipeline.preservation.added_representation import AddedRepresentation

__all__ = ["updated_premis"]


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

    Events of single files stand in the representation's own PREMIS. Raises XmlRefused.
    """
    who = person_agent(person.strip())
    subject = added.representation.id if added else entity
    update = context.report("update")
    event = update.event(kind, detail, objects=(subject,), agent=who)
    event = replace(event, agents=((who.id, AgentRole.IMPLEMENTER),))
    of_files = {earlier.id for earlier in added.file_events} if added else set()
    events = [
        _about(earlier, subject)
        for earlier in (added.report.events if added else ())
        if earlier.id not in of_files
    ]
    return premis_with(
        content,
        entity=entity,
        representation=added.representation if added else None,
        events=[*events, event],
        agents=[*(added.report.agents if added else ()), *update.agents],
    )


def _about(event: Event, subject: str) -> Event:
    return event if event.objects else replace(event, objects=(subject,))
