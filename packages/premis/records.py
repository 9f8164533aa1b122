"""PREMIS 3 entities. Every vocabulary member carries its Library of Congress code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

_LOC = "http://id.loc.gov/vocabulary/preservation"


class Term(Enum):
    """A member of a vocabulary at id.loc.gov: label and code. Subclasses name the scheme."""

    def __init__(self, label: str, code: str) -> None:
        self.label = label
        self.code = code

    @property
    def scheme(self) -> str:
        """The vocabulary's name in its URI."""
        return _SCHEMES[type(self).__name__]

    @property
    def attributes(self) -> str:
        """The three authority attributes of PREMIS 3, ready for a start tag."""
        base = f"{_LOC}/{self.scheme}"
        return f'authority="{self.scheme}" authorityURI="{base}" valueURI="{base}/{self.code}"'


class EventType(Term):
    """What happened (the terms this pipeline uses)."""

    ACCESSION = "accession", "acc"
    UNPACKING = "unpacking", "unp"
    MESSAGE_DIGEST = "message digest calculation", "mes"
    FIXITY_CHECK = "fixity check", "fix"
    VALIDATION = "validation", "val"
    FILENAME_CHANGE = "filename change", "fil"
    VIRUS_CHECK = "virus check", "vir"
    FORMAT_IDENTIFICATION = "format identification", "for"
    POLICY_ASSIGNMENT = "policy assignment", "poa"
    PACKAGE_CREATION = "information package creation", "ipc"
    INGESTION = "ingestion", "ing"
    REPLICATION = "replication", "rep"
    RECOVERY = "recovery", "rec"
    DELETION = "deletion", "del"
    NORMALIZATION = "normalization", "nor"
    MODIFICATION = "modification", "mod"
    METADATA_MODIFICATION = "metadata modification", "mem"
    EXPORTING = "exporting", "exp"
    DISSEMINATION = "dissemination", "dis"


class EventOutcome(Term):
    """How it ended."""

    SUCCESS = "success", "suc"
    FAILURE = "failure", "fai"
    WARNING = "warning", "war"


class AgentType(Term):
    """Who or what acted."""

    SOFTWARE = "software", "sof"
    ORGANIZATION = "organization", "org"
    PERSON = "person", "per"


class AgentRole(Term):
    """What an agent did in an event."""

    EXECUTING_PROGRAM = "executing program", "exe"
    IMPLEMENTER = "implementer", "imp"
    AUTHORIZER = "authorizer", "aut"


class RightsBasis(Term):
    """On what ground something may be done."""

    COPYRIGHT = "copyright", "cop"
    LICENSE = "license", "lic"
    STATUTE = "statute", "sta"
    INSTITUTIONAL_POLICY = "institutional policy", "ins"
    OTHER = "other", "oth"


class RelationshipType(Term):
    """The kind of a relationship between objects."""

    STRUCTURAL = "structural", "str"
    DERIVATION = "derivation", "der"


class RelationshipSubType(Term):
    """The direction of a relationship between objects."""

    INCLUDES = "includes", "inc"
    IS_INCLUDED_IN = "is included in", "isi"
    HAS_SOURCE = "has source", "hss"


class FixityFunction(Term):
    """Digest algorithms as PREMIS names them."""

    SHA512 = "SHA-512", "sha512"


_SCHEMES = {
    "EventType": "eventType",
    "EventOutcome": "eventOutcome",
    "AgentType": "agentType",
    "AgentRole": "eventRelatedAgentRole",
    "RightsBasis": "rightsBasis",
    "RelationshipType": "relationshipType",
    "RelationshipSubType": "relationshipSubType",
    "FixityFunction": "cryptographicHashFunctions",
}
SOFTWARE_ROLE = AgentRole.EXECUTING_PROGRAM


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody or something that acts in events; ``id`` is unique within the archive."""

    id: str
    name: str
    type: AgentType
    version: str


def person_agent(name: str) -> Agent:
    """Somebody by name."""
    return Agent(f"person-{name}", name, AgentType.PERSON, "")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the package, to a representation, or to files named in ``objects``.

    ``objects`` are UUIDs; a package event names its representation, never each of 100,000 files.
    """

    id: str
    type: EventType
    time: datetime
    detail: str
    outcome: EventOutcome
    note: str
    agents: tuple[tuple[str, AgentRole], ...]
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Representation:
    """One set of files that together render the records."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class RightsStatement:
    """What may be done with the package's representations, and why.

    ``act`` uses the PREMIS vocabulary (``disseminate``); an empty ``end`` means open-ended.
    """

    id: str
    basis: RightsBasis
    note: str
    act: str
    restriction: str
    start: date
    end: date | None
    objects: tuple[str, ...]
    agents: tuple[str, ...]
