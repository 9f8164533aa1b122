"""Stage 4: names, METS, PREMIS and the bag: everything the AIP is, before a byte is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import merge
from pathlib import Path

from packages.aip.layout import (
    AGREEMENT,
    DUBLIN_CORE,
    METS,
    PREMIS,
    SUBMITTED_REPRESENTATION,
    SUBMITTED_TAG_FILES,
    AipLayout,
    archivematica_mets,
    content_folder,
)
from packages.identifiers import PackageId
from packages.mets import archivematica
from packages.mets.csip_writer import (
    MetsHeader,
    PackageType,
    Reference,
    pad_to_chunks,
    root_mets,
)
from packages.package_file import MetadataFile
from packages.paths import rename_reason, renamed
from packages.premis import (
    Agent,
    Event,
    EventType,
    Representation,
    RightsBasis,
    RightsStatement,
    package_premis,
)
from packages.worklist import Worklist
from packages.xml_text import encoded
from pipeline.aip_writing.bag import write_bag_files
from pipeline.aip_writing.descriptive import dublin_core
from pipeline.aip_writing.metadata_writer import MetadataWriter
from pipeline.aip_writing.representation import (
    describe_representation,
    folders_above,
    identify_representation,
    name_files,
    not_valid_events,
)
from pipeline.context import IngestContext, Submission
from pipeline.ingest.examine import ExaminedSip
from pipeline.stage_report import StageReport
from schemas.xsd import PACKAGE_SCHEMAS
from storage.ocfl.repository import FileToStore

__all__ = ["PlannedAip", "describe"]


@dataclass(frozen=True, slots=True)
class PlannedAip:
    """A complete AIP that exists only in the work area."""

    submission: Submission
    worklist: Worklist
    content: Path
    metadata: tuple[FileToStore, ...]

    @property
    def package_id(self) -> PackageId:
        """Its identity."""
        return self.submission.package_id

    def stored_files(self) -> Iterator[FileToStore]:
        """Every file of the AIP, in the order of the digests."""
        prefix = AipLayout(self.package_id).content(SUBMITTED_REPRESENTATION)
        content = (
            FileToStore(f"{prefix}/{name}", size, sha512, self.content / work)
            for sha512, name, size, work in self.worklist.by_digest()
        )
        return merge(
            content,
            sorted(self.metadata, key=lambda file: (file.sha512, file.logical)),
            key=lambda file: (file.sha512, file.logical),
        )


def describe(
    examined: ExaminedSip, history: StageReport, context: IngestContext
) -> tuple[PlannedAip, StageReport]:
    """Write all metadata of the AIP into the work area; ``history`` is what the stages before reported."""
    report = context.report("describe")
    submission = examined.verified.submission
    worklist = examined.verified.received.worklist
    package = submission.package_id
    representation = identify_representation(package, SUBMITTED_REPRESENTATION)
    file_events = name_files(worklist, package, SUBMITTED_REPRESENTATION, report)
    file_events += not_valid_events(worklist, report)
    rights = _rights(context, package, representation)
    writer = MetadataWriter(context.work / "metadata", AipLayout(package).root)
    header = _header(submission, context)
    report.event(
        EventType.PACKAGE_CREATION,
        f"AIP {package.urn}",
        note="E-ARK CSIP/AIP 2.2.0 in a BagIt 1.0 bag",
        objects=(representation.id,),
    )
    agents = tuple({one.id: one for one in (*history.agents, *report.agents)}.values())
    described = describe_representation(
        writer, package, representation, worklist, header, file_events, agents
    )
    of_files = {event.id for event in file_events}
    events = tuple(
        _about(e, representation.id) for e in (*history.events, *report.events) if e.id not in of_files
    )
    _package_metadata(
        writer, submission, worklist, context, header, described.mets, described.premis,
        _Provenance(package.child("entity"), representation, events, agents, rights),
    )  # fmt: skip
    write_bag_files(writer, submission, context, worklist, SUBMITTED_REPRESENTATION)
    planned = PlannedAip(submission, worklist, context.work / "content", tuple(writer.stored_files()))
    return planned, report


@dataclass(frozen=True, slots=True)
class _Provenance:
    entity: str
    representation: Representation
    events: tuple[Event, ...]
    agents: tuple[Agent, ...]
    rights: tuple[RightsStatement, ...]


def _package_metadata(
    writer: MetadataWriter,
    submission: Submission,
    worklist: Worklist,
    context: IngestContext,
    header: MetsHeader,
    rep_mets: MetadataFile,
    rep_premis: MetadataFile,
    provenance: _Provenance,
) -> None:
    premis = writer.write(
        PREMIS,
        encoded(
            package_premis(
                entity=provenance.entity,
                name=submission.title,
                representations=(provenance.representation,),
                events=provenance.events,
                agents=provenance.agents,
                rights=provenance.rights,
            )
        ),
    )
    dublin = writer.write(DUBLIN_CORE, encoded(dublin_core(submission, context)))
    documentation = tuple(_documentation(writer, worklist, context))
    schemas = tuple(_schemas(writer))
    preservation = [Reference("dp-premis", premis, "PREMIS", "3.0")]
    if submission.files <= context.archivematica_mets_limit:
        listed = [premis, dublin, *documentation, *schemas, rep_mets, rep_premis]
        sidecar = _sidecar(writer, submission, worklist, header, listed, provenance)
        preservation.append(Reference("dp-mets", sidecar, "OTHER", other="METS"))
    writer.write(
        METS,
        pad_to_chunks(
            root_mets(
                header=header,
                descriptive=(Reference("dmd-1", dublin, "DC"),),
                preservation=tuple(preservation),
                documentation=documentation,
                schemas=schemas,
                representations=(rep_mets,),
            )
        ),
    )


def _sidecar(
    writer: MetadataWriter,
    submission: Submission,
    worklist: Worklist,
    header: MetsHeader,
    listed: list[MetadataFile],
    provenance: _Provenance,
) -> MetadataFile:
    content = archivematica.write(
        objid=submission.package_id.objid,
        created=header.created,
        content=[
            (
                content_folder(SUBMITTED_REPRESENTATION),
                provenance.representation.id,
                worklist.package_files(),
            )
        ],
        metadata=listed,
        provenance=archivematica.Provenance((), provenance.agents[:1], provenance.rights),
    )
    return writer.write(archivematica_mets(submission.package_id), iter([content]))


def _about(event: Event, representation: str) -> Event:
    """Events of the whole submission are about the representation it became."""
    if event.objects:
        return event
    return replace(event, objects=(representation,))


def _header(submission: Submission, context: IngestContext) -> MetsHeader:
    return MetsHeader(
        objid=submission.package_id.objid,
        label=submission.title,
        package_type=PackageType.AIP,
        created=context.clock(),
        software=context.software.name,
        software_version=context.software.version,
    )


def _rights(
    context: IngestContext, package: PackageId, representation: Representation
) -> tuple[RightsStatement, ...]:
    agreed = context.agreement.rights
    basis = RightsBasis[agreed.basis.upper().replace(" ", "_")]
    return (
        RightsStatement(
            id=package.child("rights"),
            basis=basis,
            note=agreed.note,
            act="disseminate",
            restriction="" if agreed.access == "open" else f"access: {agreed.access}",
            start=agreed.open_from or context.clock().date(),
            end=None,
            objects=(representation.id,),
            agents=(context.software.agent.id,),
        ),
    )


def _documentation(
    writer: MetadataWriter, worklist: Worklist, context: IngestContext
) -> Iterator[MetadataFile]:
    agreement = context.agreement.model_dump_json(indent=2).encode()
    yield writer.write(AGREEMENT, iter([agreement]), mime="application/json")
    tags = list(worklist.tag_files())
    given = {path for path, *_ in tags}
    given |= {folder for path in given for folder in folders_above(path)}
    for path, work, size, sha512 in tags:
        name = path
        if rename_reason(path):
            name = renamed(path, taken=given.__contains__)
            given |= {name, *folders_above(name)}
        source = context.work / "content" / work
        yield writer.include(f"{SUBMITTED_TAG_FILES}/{name}", source, size, sha512)


def _schemas(writer: MetadataWriter) -> Iterator[MetadataFile]:
    """The schemas the metadata follow, so that the package explains itself."""
    for name, source in PACKAGE_SCHEMAS.items():
        yield writer.write(f"schemas/{name}", iter([source.read_bytes()]))
