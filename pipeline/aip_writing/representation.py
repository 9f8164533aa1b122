"""One representation of a package: names in the AIP, its PREMIS, its METS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from packages.aip.layout import METS, PREMIS, SUBMITTED_REPRESENTATION, representation_folder
from packages.identifiers import PackageId
from packages.mets.csip_writer import (
    MetsHeader,
    Reference,
    pad_to_chunks,
    representation_header,
    representation_mets,
)
from packages.package_file import MetadataFile
from packages.paths import rename_reason, renamed
from packages.premis import Agent, Event, EventOutcome, EventType, Representation, representation_premis
from packages.problems.catalogue import problem
from packages.worklist import Worklist
from packages.xml_text import encoded
from pipeline.aip_writing.metadata_writer import MetadataWriter
from pipeline.stage_report import StageReport

__all__ = [
    "DescribedRepresentation",
    "describe_representation",
    "folders_above",
    "identify_representation",
    "name_files",
    "not_valid_events",
]


_MAX_TOLD = 1000  # files with an event of their own; the format notes tell of all


@dataclass(frozen=True, slots=True)
class DescribedRepresentation:
    """What was written about a representation; paths are from the package root."""

    representation: Representation
    mets: MetadataFile
    premis: MetadataFile


def identify_representation(package: PackageId, name: str) -> Representation:
    """A representation's identity, derived from its package's."""
    return Representation(package.child("representation", name), name)


def describe_representation(
    writer: MetadataWriter,
    package: PackageId,
    representation: Representation,
    worklist: Worklist,
    header: MetsHeader,
    file_events: tuple[Event, ...],
    agents: tuple[Agent, ...],
) -> DescribedRepresentation:
    """Write ``premis.xml`` and ``METS.xml`` of a representation whose files have their names."""
    folder = representation_folder(representation.name)
    premis = writer.write(
        f"{folder}/{PREMIS}",
        encoded(
            representation_premis(
                representation=representation,
                entity=package.child("entity"),
                files=worklist.package_files(),
                events=file_events,
                agents=agents if file_events else (),
            )
        ),
    )
    mets = writer.write(
        f"{folder}/{METS}",
        pad_to_chunks(
            representation_mets(
                header=representation_header(header, representation.name),
                premis=Reference("dp-premis", premis.below(folder), "PREMIS", "3.0"),
                files=worklist.package_files(),
            )
        ),
    )
    return DescribedRepresentation(representation, mets, premis)


def name_files(
    worklist: Worklist, package: PackageId, representation: str, report: StageReport
) -> tuple[Event, ...]:
    """Give every file its name in the AIP and its UUID; renaming is an event of that file."""
    changed: list[tuple[str, str, int]] = []

    def names() -> Iterator[tuple[str, str, int]]:
        for row, path, *_ in worklist.work_files():
            name = path.removeprefix("data/")
            reason = rename_reason(name)
            if reason:
                changed.append((name, reason, row))
            else:
                yield name, _file_id(package, representation, name), row

    worklist.set_names(names())
    new_files: set[str] = set()
    new_folders: set[str] = set()

    def taken(name: str) -> bool:
        """A file or a folder has this name, or a file stands where it needs a folder."""
        steps = (name, *folders_above(name))
        a_file = any(step in new_files or worklist.has(f"data/{step}") for step in steps)
        return a_file or name in new_folders or worklist.has_below(f"data/{name}/")

    events = []
    for name, reason, row in changed:
        new = renamed(name, taken=taken)
        new_files.add(new)
        new_folders.update(folders_above(new))
        uuid = _file_id(package, representation, new)
        worklist.set_names([(new, uuid, row)])
        report.add(problem("PATH-RENAMED", f"data/{name}", expected=f"data/{new}", found=reason))
        events.append(
            report.event(
                EventType.FILENAME_CHANGE, f"“{name}” became “{new}”", note=reason, objects=(uuid,)
            )
        )
    return tuple(events)


def not_valid_events(worklist: Worklist, report: StageReport) -> tuple[Event, ...]:
    """An event for each file that a tool found not valid, so that it is told of the file itself."""
    return tuple(
        report.event(
            EventType.VALIDATION,
            f"by {said.tool}",
            outcome=EventOutcome.FAILURE,
            note="; ".join(said.messages[:5]),
            objects=(uuid,),
        )
        for uuid, said in islice(worklist.not_valid(), _MAX_TOLD)
    )


def _file_id(package: PackageId, representation: str, name: str) -> str:
    if representation == SUBMITTED_REPRESENTATION:
        return package.child("file", name)
    return package.child("file", representation, name)


def folders_above(path: str) -> list[str]:
    """Every folder a path lies in, outermost first."""
    steps = path.split("/")
    return ["/".join(steps[:length]) for length in range(1, len(steps))]
