"""A folder of files on its way to become one more representation of a stored AIP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from packages.aip.layout import AipLayout
from packages.containers.sources import Entry, FolderSource, Opener
from packages.identifiers import PackageId
from packages.mets.csip_writer import MetsHeader
from packages.package_file import MetadataFile
from packages.premis import Agent, AgentType, Event, EventType, Representation
from packages.worklist import Worklist
from pipeline.aip_writing.metadata_writer import MetadataWriter
from pipeline.aip_writing.representation import (
    describe_representation,
    identify_representation,
    name_files,
    not_valid_events,
)
from pipeline.context import IngestContext
from pipeline.errors import PipelineError
from pipeline.examine import examine_files
from pipeline.stage_report import StageReport
from pipeline.unpacking.custody import take_custody
from pipeline.unpacking.safety import Screening
from storage.ocfl.repository import FileToStore

__all__ = ["AddedRepresentation", "Derived", "RepresentationRefused", "add_representation"]


class RepresentationRefused(PipelineError):
    """The folder holds something that no package may hold, or nothing."""


@dataclass(frozen=True, slots=True)
class AddedRepresentation:
    """Its files in our custody and what was written about them."""

    representation: Representation
    mets: MetadataFile
    premis: MetadataFile
    worklist: Worklist
    file_events: tuple[Event, ...]
    files: tuple[FileToStore, ...]
    report: StageReport


@dataclass(frozen=True, slots=True)
class Derived:
    """How a file of the new representation came to be: from which one, by what, shown by what."""

    source: str
    """The name, in the first representation, of the file it was made from."""
    tool: str
    note: str


class _AsPayload(FolderSource):
    """A folder read as if it were the payload of a bag."""

    def contents(self) -> Iterator[tuple[Entry, Opener]]:
        for entry, opener in super().contents():
            yield replace(entry, path=f"data/{entry.path}"), opener


def add_representation(
    folder: Path,
    name: str,
    package: PackageId,
    header: MetsHeader,
    writer: MetadataWriter,
    context: IngestContext,
    derived: Mapping[str, Derived],
) -> AddedRepresentation:
    """Take the files in, identify and describe them; ``derived`` by their path in ``folder``.

    Raises RepresentationRefused.
    """
    source, report = _AsPayload(folder), context.report("add representation")
    screening = Screening(context.work, context.agreement.limits, None)
    for entry in source.entries():
        report.add(*screening.look(entry))
    report.add(*screening.close())
    if report.rejected or not screening.files:
        first = next(iter(report.findings.all()), None)
        raise RepresentationRefused(first.for_operator if first else f"there is no file in {folder}")
    worklist = Worklist(context.work, ())
    take_custody(source, "", worklist, context)
    report.event(
        EventType.MESSAGE_DIGEST, "SHA-512 of every byte taken in", note=f"{screening.files} files"
    )
    report.append(examine_files(worklist, context))
    infected = [p for p in report.findings.all() if p.code == "VIRUS-FOUND"]
    if infected:  # what else the policy holds an archivist decides about, and adds this very moment
        raise RepresentationRefused(f"a virus was found in {infected[0].path}: {infected[0].found}")
    representation = identify_representation(package, name)
    events = name_files(worklist, package, name, report) + not_valid_events(worklist, report)
    events += tuple(_derivation(path, how, worklist, package, report) for path, how in derived.items())
    described = describe_representation(
        writer, package, representation, worklist, header, events, report.agents
    )
    prefix = AipLayout(package).content(name)
    content = context.work / "content"
    files = tuple(
        FileToStore(f"{prefix}/{path}", size, sha512, content / work)
        for sha512, path, size, work in worklist.by_digest()
    )
    return AddedRepresentation(
        representation, described.mets, described.premis, worklist, events, files, report
    )


def _derivation(
    path: str, how: Derived, worklist: Worklist, package: PackageId, report: StageReport
) -> Event:
    source = package.child("file", how.source)
    made = worklist.set_source(f"data/{path}", source)
    agent = Agent(how.tool.replace(" ", "-"), how.tool, AgentType.SOFTWARE, "")
    return report.event(
        EventType.NORMALIZATION, f"“{path}” made from “{how.source}”", note=how.note,
        objects=(made, source), agent=agent,
    )  # fmt: skip
