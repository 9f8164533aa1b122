"""PREMIS 3 as a stream of text: deterministic, in constant memory, valid against the LoC schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packages.package_file import PackageFile, timestamp
from packages.premis.records import (
    Agent,
    Event,
    FixityFunction,
    RelationshipSubType,
    RelationshipType,
    Representation,
    RightsBasis,
    RightsStatement,
    Term,
)
from packages.xml_text import DECLARATION, text

NAMESPACE = "http://www.loc.gov/premis/v3"
_OPEN = (
    f'{DECLARATION}<premis:premis xmlns:premis="{NAMESPACE}"\n'
    '    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="3.0">\n'
)
_END = "</premis:premis>\n"


def _term(element: str, term: Term) -> str:
    return f"<premis:{element} {term.attributes}>{term.label}</premis:{element}>"


def _identifier(kind: str, value: str, id_type: str = "UUID") -> str:
    return (
        f"<premis:{kind}Type>{id_type}</premis:{kind}Type>"
        f"<premis:{kind}Value>{text(value)}</premis:{kind}Value>"
    )


def _wrapped_identifier(kind: str, value: str, id_type: str = "UUID") -> str:
    return f"<premis:{kind}>{_identifier(kind, value, id_type)}</premis:{kind}>"


def _relationship(
    sub_type: RelationshipSubType,
    targets: Iterable[str],
    kind: RelationshipType = RelationshipType.STRUCTURAL,
) -> str:
    related = "".join(_wrapped_identifier("relatedObjectIdentifier", t) for t in targets)
    return (
        "<premis:relationship>"
        f"{_term('relationshipType', kind)}"
        f"{_term('relationshipSubType', sub_type)}{related}</premis:relationship>"
    )


def related_identifier(target: str, *, root: str = "") -> str:
    """One more target of a relationship that is there already."""
    inside = _identifier("relatedObjectIdentifier", target)
    return f"<premis:relatedObjectIdentifier{root}>{inside}</premis:relatedObjectIdentifier>"


_FIXITY = _term("messageDigestAlgorithm", FixityFunction.SHA512)


def _format(file: PackageFile) -> str:
    known = file.format
    version = f"<premis:formatVersion>{text(known.version)}</premis:formatVersion>" if known.version else ""
    registry = (
        f"<premis:formatRegistry><premis:formatRegistryName>{text(known.registry)}</premis:formatRegistryName>"
        f"<premis:formatRegistryKey>{text(known.puid)}</premis:formatRegistryKey>"
        "<premis:formatRegistryRole>specification</premis:formatRegistryRole>"
        "</premis:formatRegistry>"
        if known.puid
        else ""
    )
    notes = "".join(
        f"<premis:formatNote>{text(note)}</premis:formatNote>"
        for note in (_media_type(file), known.basis, known.warning, _validity(file))
        if note
    )
    return (
        f"<premis:format><premis:formatDesignation><premis:formatName>{text(known.name)}"
        f"</premis:formatName>{version}</premis:formatDesignation>{registry}{notes}</premis:format>"
    )


VALIDITY_NOTE = "validity: "
"""How the format note begins that says what a validator found."""


MIME_NOTE = "media type: "
"""How the format note begins that gives the media type, for which PREMIS has no element."""


def _media_type(file: PackageFile) -> str:
    return f"{MIME_NOTE}{file.format.mime}" if file.format.mime else ""


def _validity(file: PackageFile) -> str:
    validation = file.validation
    if validation is None or not validation.tool:
        return ""
    said = f"{VALIDITY_NOTE}{validation.validity}, by {validation.tool}"
    return f"{said}: {'; '.join(validation.messages[:5])}" if validation.messages else said


def _significant(file: PackageFile) -> str:
    facts = file.validation.facts if file.validation else ()
    return "".join(
        "<premis:significantProperties>"
        f"<premis:significantPropertiesType>{text(name)}</premis:significantPropertiesType>"
        f"<premis:significantPropertiesValue>{text(value)}</premis:significantPropertiesValue>"
        "</premis:significantProperties>"
        for name, value in facts
    )


def file_object(file: PackageFile, representation: str, *, root: str = "") -> str:
    """One ``premis:file``. ``root`` carries namespace declarations when it stands alone.

    The name given is the submitted one; the current one stands in METS under the same UUID.
    """
    return (
        f'<premis:object xsi:type="premis:file" version="3.0"{root}>'
        f"{_wrapped_identifier('objectIdentifier', file.id)}{_significant(file)}"
        "<premis:objectCharacteristics><premis:compositionLevel>0</premis:compositionLevel>"
        f"<premis:fixity>{_FIXITY}<premis:messageDigest>{text(file.sha512)}</premis:messageDigest>"
        f"</premis:fixity><premis:size>{file.size}</premis:size>{_format(file)}"
        "</premis:objectCharacteristics>"
        f"<premis:originalName>{text(file.original)}</premis:originalName>"
        f"{_relationship(RelationshipSubType.IS_INCLUDED_IN, (representation,))}"
        f"{_derivation(file)}</premis:object>\n"
    )


def _derivation(file: PackageFile) -> str:
    if not file.source:
        return ""
    return _relationship(RelationshipSubType.HAS_SOURCE, (file.source,), RelationshipType.DERIVATION)


def representation_object(representation: Representation, entity: str, *, root: str = "") -> str:
    """One ``premis:representation``. ``root`` as in ``file_object``."""
    return (
        f'<premis:object xsi:type="premis:representation" version="3.0"{root}>'
        f"{_wrapped_identifier('objectIdentifier', representation.id)}"
        f"<premis:originalName>{text(representation.name)}</premis:originalName>"
        f"{_relationship(RelationshipSubType.IS_INCLUDED_IN, (entity,))}</premis:object>\n"
    )


def _entity(entity: str, name: str, representations: Iterable[Representation]) -> str:
    return (
        '<premis:object xsi:type="premis:intellectualEntity" version="3.0">'
        f"{_wrapped_identifier('objectIdentifier', entity)}"
        f"<premis:originalName>{text(name)}</premis:originalName>"
        f"{_relationship(RelationshipSubType.INCLUDES, (r.id for r in representations))}"
        "</premis:object>\n"
    )


def event_element(event: Event, *, root: str = "") -> str:
    """One ``premis:event`` with its agents and objects."""
    note = (
        "<premis:eventOutcomeDetail><premis:eventOutcomeDetailNote>"
        f"{text(event.note)}</premis:eventOutcomeDetailNote></premis:eventOutcomeDetail>"
        if event.note
        else ""
    )
    agents = "".join(
        f"<premis:linkingAgentIdentifier>{_identifier('linkingAgentIdentifier', agent, 'local')}"
        f"{_term('linkingAgentRole', role)}</premis:linkingAgentIdentifier>"
        for agent, role in event.agents
    )
    objects = "".join(_wrapped_identifier("linkingObjectIdentifier", o) for o in event.objects)
    return (
        f'<premis:event version="3.0"{root}>'
        f"{_wrapped_identifier('eventIdentifier', event.id)}"
        f"{_term('eventType', event.type)}"
        f"<premis:eventDateTime>{timestamp(event.time)}</premis:eventDateTime>"
        "<premis:eventDetailInformation><premis:eventDetail>"
        f"{text(event.detail)}</premis:eventDetail></premis:eventDetailInformation>"
        f"<premis:eventOutcomeInformation>{_term('eventOutcome', event.outcome)}{note}"
        f"</premis:eventOutcomeInformation>{agents}{objects}</premis:event>\n"
    )


def agent_element(agent: Agent, *, root: str = "") -> str:
    """One ``premis:agent``."""
    version = f"<premis:agentVersion>{text(agent.version)}</premis:agentVersion>" if agent.version else ""
    return (
        f'<premis:agent version="3.0"{root}>'
        f"{_wrapped_identifier('agentIdentifier', agent.id, 'local')}"
        f"<premis:agentName>{text(agent.name)}</premis:agentName>"
        f"{_term('agentType', agent.type)}{version}</premis:agent>\n"
    )


def rights_element(rights: RightsStatement, *, root: str = "") -> str:
    """One ``premis:rights`` with a single statement."""
    end = f"<premis:endDate>{rights.end.isoformat()}</premis:endDate>" if rights.end else ""
    restriction = (
        f"<premis:restriction>{text(rights.restriction)}</premis:restriction>" if rights.restriction else ""
    )
    links = "".join(_wrapped_identifier("linkingObjectIdentifier", o) for o in rights.objects)
    agents = "".join(_wrapped_identifier("linkingAgentIdentifier", a, "local") for a in rights.agents)
    return (
        f'<premis:rights version="3.0"{root}><premis:rightsStatement>'
        f"{_wrapped_identifier('rightsStatementIdentifier', rights.id)}"
        f"{_term('rightsBasis', rights.basis)}{_basis_information(rights)}"
        f"<premis:rightsGranted><premis:act>{text(rights.act)}</premis:act>{restriction}"
        f"<premis:termOfGrant><premis:startDate>{rights.start.isoformat()}</premis:startDate>{end}"
        f"</premis:termOfGrant></premis:rightsGranted>{links}{agents}"
        "</premis:rightsStatement></premis:rights>\n"
    )


def _basis_information(rights: RightsStatement) -> str:
    note = text(rights.note)
    match rights.basis:
        case RightsBasis.LICENSE:
            return (
                "<premis:licenseInformation><premis:licenseTerms>"
                f"{note}</premis:licenseTerms></premis:licenseInformation>"
            )
        case RightsBasis.STATUTE:
            return (
                "<premis:statuteInformation><premis:statuteJurisdiction>local"
                f"</premis:statuteJurisdiction><premis:statuteCitation>{note}"
                "</premis:statuteCitation></premis:statuteInformation>"
            )
        case RightsBasis.COPYRIGHT:
            return (
                "<premis:copyrightInformation><premis:copyrightStatus>unknown"
                "</premis:copyrightStatus><premis:copyrightJurisdiction>local"
                f"</premis:copyrightJurisdiction><premis:copyrightNote>{note}"
                "</premis:copyrightNote></premis:copyrightInformation>"
            )
        case _:
            return (
                "<premis:otherRightsInformation><premis:otherRightsBasis>"
                f"{note}</premis:otherRightsBasis></premis:otherRightsInformation>"
            )


def representation_premis(
    *,
    representation: Representation,
    entity: str,
    files: Iterable[PackageFile],
    events: Iterable[Event],
    agents: Iterable[Agent],
) -> Iterator[str]:
    """``premis.xml`` of a representation: a file object each, and events of single files."""
    yield _OPEN
    for file in files:
        yield file_object(file, representation.id)
    yield representation_object(representation, entity)
    for event in events:
        yield event_element(event)
    for agent in agents:
        yield agent_element(agent)
    yield _END


def package_premis(
    *,
    entity: str,
    name: str,
    representations: tuple[Representation, ...],
    events: Iterable[Event],
    agents: Iterable[Agent],
    rights: Iterable[RightsStatement],
) -> Iterator[str]:
    """``premis.xml`` of the package: the entity, its representations, what happened to them."""
    yield _OPEN
    yield _entity(entity, name, representations)
    for representation in representations:
        yield representation_object(representation, entity)
    for event in events:
        yield event_element(event)
    for agent in agents:
        yield agent_element(agent)
    for statement in rights:
        yield rights_element(statement)
    yield _END
