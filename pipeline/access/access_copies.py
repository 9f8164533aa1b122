"""Access copies for a DIP: what the format policy gives to readers instead of the original's format."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packages.aip.layout import SUBMITTED_REPRESENTATION, content_folder
from packages.identifiers import PackageId
from packages.package_file import PackageFile
from packages.premis import Agent, AgentType, Event, EventOutcome, EventType
from packages.premis.records import AgentRole
from pipeline.archive import Archive
from pipeline.formats.normalise import CONVERTERS, Converted, Converter

__all__ = ["REPRESENTATION", "AccessCopies", "make_access_copies"]

REPRESENTATION = "access"
_BATCH = 20


@dataclass(slots=True)
class AccessCopies:
    """What was made: files of the representation ``access``, by the original's path, and the events.

    ``failed`` names originals of which no copy could be made, with the reason.
    """

    files: dict[str, PackageFile] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    agents: dict[str, Agent] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


def make_access_copies(
    archive: Archive, package: PackageId, originals: Sequence[PackageFile], folder: Path, scratch: Path
) -> AccessCopies:
    """Convert what the policy names a converter for; ``folder`` is the DIP with the originals in it."""
    made = AccessCopies()
    wanted: dict[str, list[PackageFile]] = defaultdict(list)
    for file in originals:
        name = archive.tools.policy.rule_for(file.format).access
        if name:
            wanted[name].append(file)
    for name, files in sorted(wanted.items()):
        converter = CONVERTERS.get(name)
        problem = converter.state().problem if converter else "there is no such converter"
        if converter is None or problem:
            made.failed += [f"{file.path}: {name}: {problem}" for file in files]
            continue
        for at in range(0, len(files), _BATCH):
            batch = _Batch(archive, package, folder, scratch / f"{name}-{at}")
            batch.convert(converter, files[at : at + _BATCH], made)
    return made


@dataclass(frozen=True, slots=True)
class _Batch:
    archive: Archive
    package: PackageId
    folder: Path
    scratch: Path

    def convert(self, converter: Converter, files: Sequence[PackageFile], made: AccessCopies) -> None:
        places = {
            self.folder / f"{content_folder(SUBMITTED_REPRESENTATION)}/{file.path}": file for file in files
        }
        done = converter.convert(list(places), self.scratch)
        results = [one for one in done if one.result is not None]
        formats = self.archive.tools.identifier.identify([str(one.result) for one in results])
        known = dict(zip((one.source for one in results), formats, strict=True))
        for one in done:
            original = places[one.source]
            if one.result is None:
                made.failed.append(f"{original.path}: {'; '.join(one.problems)}")
                continue
            path = f"{original.path}{one.result.suffix}"
            target = self.folder / f"{content_folder(REPRESENTATION)}/{path}"
            target.parent.mkdir(parents=True, exist_ok=True)
            one.result.rename(target)
            with target.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha512").hexdigest()
            identifier = self.package.child("file", REPRESENTATION, path)
            made.files[original.path] = PackageFile(
                identifier, path, path, target.stat().st_size, digest, self.archive.clock(),
                known[one.source], source=original.id,
            )  # fmt: skip
            self._tell(one, original, identifier, made)

    def _tell(self, one: Converted, original: PackageFile, identifier: str, made: AccessCopies) -> None:
        agent = Agent(one.tool.replace(" ", "-"), one.tool, AgentType.SOFTWARE, "")
        made.agents[agent.id] = agent
        made.events.append(
            Event(
                id=self.package.child("event", REPRESENTATION, original.path),
                type=EventType.DISSEMINATION,
                time=self.archive.clock(),
                detail=f"access copy of “{original.path}”",
                outcome=EventOutcome.SUCCESS,
                note="; ".join((*one.compared, *one.problems)),
                agents=((agent.id, AgentRole.EXECUTING_PROGRAM),),
                objects=(identifier, original.id),
            )
        )
