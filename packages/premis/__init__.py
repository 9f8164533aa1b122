"""PREMIS 3: objects, events, agents and rights as plain records; vocabulary; writer; checks."""

from packages.premis.records import (
    SOFTWARE_ROLE,
    Agent,
    AgentType,
    Event,
    EventOutcome,
    EventType,
    Representation,
    RightsBasis,
    RightsStatement,
)
from packages.premis.writer import package_premis, representation_premis

__all__ = [
    "SOFTWARE_ROLE",
    "Agent",
    "AgentType",
    "Event",
    "EventOutcome",
    "EventType",
    "Representation",
    "RightsBasis",
    "RightsStatement",
    "package_premis",
    "representation_premis",
]
