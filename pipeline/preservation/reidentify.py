"""Formats of what is kept, looked at again: signatures grow, and archivists know better.

What was found at the ingest stays in the AIP; a new finding is an event, never a silent edit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from packages.aip.layout import PREMIS, representation_of
from packages.identifiers import PackageId
from packages.premis import EventOutcome, EventType
from packages.premis.reader import iter_files
from pipeline.archive import Archive
from pipeline.errors import PipelineError, UnknownPackage
from pipeline.holdings.aip_reader import AipReader
from pipeline.holdings.events import event
from pipeline.holdings.format_changes import Changed, apply_changes, changes_in, changes_payload
from pipeline.holdings.journal import write_journal
from pipeline.holdings.leases import WAIT_FOR_PERSON_S, leased_aip
from storage.errors import Busy, LeaseLost, StorageError
from storage.ocfl.inventory import InventoryEntry
from storage.scratch import scratch_folder
from storage.states import AipState

__all__ = ["OverrideRefused", "override_format", "reidentify"]

_BATCH = 200
_MAX_TOLD = 500
_SHOWN = 20
_PUID = re.compile(r"(x-)?fmt/\d+|local/[\w.-]+")


class OverrideRefused(PipelineError):
    """A format cannot be set like this; the message says why."""


def reidentify(archive: Archive, aips: Iterable[str]) -> Iterator[tuple[str, Changed]]:
    """Identify the content of AIPs again; each AIP gets an event that says what is different.

    Yields (AIP, change). Raises ToolFailed. An AIP that cannot be read gets a failed event; one that
    another process works on is left as it is, which is an event too.
    """
    for aip in aips:
        changed: list[Changed] = []
        try:
            with leased_aip(archive, aip, "format identification") as leased:
                changed = _reidentify_leased(leased.archive, aip)
        except (Busy, LeaseLost) as error:
            problem = f"not identified again: {error}"
            _record(archive, aip, [], problem, problem)
        yield from ((aip, one) for one in changed)
    write_journal(archive)


def _reidentify_leased(archive: Archive, aip: str) -> list[Changed]:
    changed: list[Changed] = []
    files, problem = 0, ""
    try:
        for before, file in _again(archive, aip):
            files += 1
            if file.puid != before:
                changed.append(replace(file, before=before))
    except LeaseLost:
        raise
    except (StorageError, UnknownPackage) as error:
        changed, problem = [], str(error)
    identifier = archive.tools.identifier
    said = f"{files} file(s) identified again, {len(changed)} differ; "
    said += f"Siegfried {identifier.version}, {identifier.signatures}"
    _record(archive, aip, changed, said, problem)
    return changed


def _again(archive: Archive, aip: str) -> Iterator[tuple[str, Changed]]:
    """Every content file as it would be identified today, with the PUID that is on record."""
    with AipReader(PackageId.parse(aip), archive.repositories) as reader:
        recorded = _recorded(archive, reader)
        entries = (entry for entry in reader.inventory.state() if entry.sha512 in recorded)
        content = (entry for entry in entries if representation_of(entry.logical))
        while batch := list(islice(content, _BATCH)):
            yield from _identified(archive, reader, batch, recorded)


def _identified(
    archive: Archive, reader: AipReader, batch: Sequence[InventoryEntry], recorded: Mapping[str, str]
) -> Iterator[tuple[str, Changed]]:
    with scratch_folder(archive.work) as folder:
        places = [folder / f"{number}{_extension(entry)}" for number, entry in enumerate(batch)]
        sizes = [reader.fetch(entry, place) or 0 for entry, place in zip(batch, places, strict=True)]
        formats = archive.tools.identifier.identify([str(place) for place in places])
        for entry, size, known in zip(batch, sizes, formats, strict=True):
            changed = Changed(
                _name(entry), entry.sha512, size, "", known.puid or "unknown", known.name, known.mime
            )
            yield recorded[entry.sha512], changed


def _recorded(archive: Archive, reader: AipReader) -> dict[str, str]:
    """PUIDs by digest: as the AIP's own PREMIS gives them, or as a later event does."""
    found: dict[str, str] = {}
    for entry in reader.inventory.state():
        if entry.logical.endswith(f"/{PREMIS}"):
            with reader.open(entry.logical) as stream:
                found.update((file.sha512, file.format.puid or "unknown") for file in iter_files(stream))
    for row in archive.catalogue.events.of(reader.package.urn):
        found.update((one.sha512, one.puid) for one in changes_in(row))
    return found


def _extension(entry: InventoryEntry) -> str:
    suffix = Path(entry.logical).suffix
    return suffix if suffix.isascii() and len(suffix) < 20 else ""


def _name(entry: InventoryEntry) -> str:
    found = representation_of(entry.logical)
    return found[1] if found else entry.logical


def override_format(
    archive: Archive, aip: str, path: str, puid: str, *, person: str, reason: str
) -> Changed:
    """An archivist says what a file is. Recorded as that person's event; the AIP stays as it is.

    Raises UnknownPackage, OverrideRefused.
    """
    row = archive.catalogue.aips.get(aip)
    if row is None or row.state != AipState.KEPT:
        raise UnknownPackage(f"the archive has no AIP {aip}")
    if not person.strip() or not reason.strip():
        raise OverrideRefused("a format needs the name of who says so, and a reason")
    if not _PUID.fullmatch(puid):
        raise OverrideRefused(f"“{puid}” is no PUID (fmt/18, x-fmt/111, local/name)")
    with (
        leased_aip(archive, aip, "format override", wait_s=WAIT_FOR_PERSON_S) as leased,
        AipReader(PackageId.parse(aip), archive.repositories) as reader,
    ):
        entries = (entry for entry in reader.inventory.state() if representation_of(entry.logical))
        found = next((entry for entry in entries if _name(entry) == path), None)
        if found is None:
            raise OverrideRefused(f"{aip} has no file “{path}”")
        before = _recorded(archive, reader).get(found.sha512, "unknown")
        changed = Changed(path, found.sha512, reader.size(found.logical), before, puid, puid, "")
        said = f"“{path}” is {puid}, says {person.strip()}: {reason.strip()}"
        _record(leased.archive, aip, [changed], said, "")
    write_journal(archive)
    return changed


def _record(archive: Archive, aip: str, changed: Sequence[Changed], detail: str, problem: str) -> None:
    """Events of at most so many files each, and the catalogue's counts with them."""
    for at in range(0, max(1, len(changed)), _MAX_TOLD):
        part = changed[at : at + _MAX_TOLD]
        note = problem or "; ".join(f"{one.path}: {one.before} → {one.puid}" for one in part[:_SHOWN])
        row = event(
            EventType.FORMAT_IDENTIFICATION, archive.clock(), store="*", detail=detail, note=note,
            payload=changes_payload(part),
            outcome=EventOutcome.FAILURE if problem else EventOutcome.SUCCESS,
        )  # fmt: skip
        archive.catalogue.events.add(aip, [row])
        apply_changes(archive, aip, row)
