"""The catalogue made again from storage alone: AIPs, versions, formats, events, copies, removals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.ingest import Archive
from pipeline.preservation.formats import apply_changes
from pipeline.preservation.journal import read_journal
from pipeline.preservation.removal import restore_hold, restore_tombstone
from pipeline.stored_record import ForeignObject, StoredRecord, read_stored_record
from storage.catalogue import AipRow, CopyRow, EventRow, VersionRow
from storage.copies import ArchivalStore, CopyState
from storage.errors import StorageError
from storage.ocfl.scan import scan_objects

__all__ = ["Rebuilt", "rebuild"]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One object that was read; ``problem`` says why it could not be registered."""

    store: str
    subject: str
    problem: str


def rebuild(archive: Archive) -> Iterator[Rebuilt]:
    """Register everything the stores hold. What the catalogue knows already is brought up to date.

    What only a catalogue knows cannot come back: submissions that were rejected or failed, and
    the order in which audits ran. When a copy was last verified comes from the journal.
    """
    for store in archive.stores:
        for found in scan_objects(store.repository.store):
            if found.committed:
                yield _register(archive, store, found.root)
    for store in archive.stores:
        _history(archive, store)


def _register(archive: Archive, store: ArchivalStore, root: str) -> Rebuilt:
    repository = store.repository
    try:
        object_id = repository.object_id(root)
        record = read_stored_record(repository, object_id)
        versions = [
            VersionRow(v.version, v.created, v.message, v.inventory_sha512)
            for v in repository.versions(object_id)
        ]
    except (ForeignObject, StorageError, ValueError) as error:
        return Rebuilt(store.name, root, str(error))
    catalogue = archive.catalogue
    known = catalogue.aip(object_id)
    unlisted = known is not None and known.files > 0 and not catalogue.file_count(object_id)
    if known is None or unlisted or _number(record.aip) > _number(known):
        _write(archive, record, versions)
    if catalogue.copy(object_id, store.name) is None:
        state = str(CopyState.UNVERIFIED)  # being there says nothing about its bytes
        catalogue.set_copy(CopyRow(object_id, store.name, record.aip.version, "", state, ""))
    return Rebuilt(store.name, object_id, "")


def _write(archive: Archive, record: StoredRecord, versions: list[VersionRow]) -> None:
    catalogue = archive.catalogue
    kept = catalogue.copy_rows(record.aip.id)
    catalogue.register(
        record.aip,
        stores=(),
        formats=record.formats,
        events=record.events,
        files=record.files(),
        message=versions[-1].message,
        version_created=versions[-1].created,
    )
    for copy in kept:
        catalogue.set_copy(copy)
    for version in versions[:-1]:
        catalogue.set_version(record.aip.id, version)


def _number(row: AipRow) -> int:
    return int(row.version.removeprefix("v"))


def _history(archive: Archive, store: ArchivalStore) -> None:
    """Events after the ingest, and from them when each copy was last seen whole."""
    catalogue = archive.catalogue
    verified: dict[tuple[str, str], str] = {}
    for aip, row in read_journal(store.repository.store):
        if catalogue.aip(aip) is None:
            _removed(archive, aip, row)
        if catalogue.aip(aip) is None:
            continue
        if not catalogue.known_event(row.id):
            catalogue.add_events(aip, [row], journaled=True)
            restore_hold(archive, row)
            apply_changes(archive, aip, row)
        if row.outcome == "success" and row.type in ("fixity check", "replication", "recovery"):
            key = (aip, row.store)
            verified[key] = max(verified.get(key, ""), row.time)
    for (aip, name), moment in verified.items():
        copy = catalogue.copy(aip, name)
        if copy is not None and copy.state == CopyState.UNVERIFIED:
            catalogue.set_copy(replace(copy, verified=moment, looked=moment, state=str(CopyState.VERIFIED)))


def _removed(archive: Archive, aip: str, row: EventRow) -> None:
    """A tombstone in the journal stands for an AIP that is not there any more."""
    if row.type == "deletion" and row.outcome == "success":
        restore_tombstone(archive, aip, row)
