"""The catalogue made again from storage alone: AIPs, versions, formats, events, copies, decisions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

from packages.premis import EventType
from pipeline.archive import Archive
from pipeline.errors import PipelineError
from pipeline.holdings.format_changes import apply_changes
from pipeline.holdings.journal import JournalRecord, read_journal
from pipeline.holdings.leases import LeasedAip, leased_aip
from pipeline.holdings.protection import protection_of
from pipeline.holdings.stored_record import StoredRecord, read_stored_record
from pipeline.preservation.removal import restore_removal, restore_tombstone
from pipeline.preservation.removal_history import (
    RemovalHistory,
    begun_removal,
    hold_of,
    is_about_removal,
)
from storage.catalogue import AipRow, Catalogue, CopyRow, EventRow, RemovalRow, VersionRow
from storage.errors import Busy, InventoryUnreadable, LeaseLost, ObjectMissing, StorageError
from storage.ocfl.repository import OcflRepository
from storage.ocfl.scan import scan_objects
from storage.protocol import UNPROTECTED
from storage.replicas.store import ArchivalStore
from storage.states import AipState, CopyState

__all__ = ["Rebuilt", "rebuild"]

_BATCH = 400
_NOT_UNDERSTOOD = (ValueError, TypeError, KeyError, AttributeError)
"""What reading a journal's record raises when somebody else wrote it."""
_VERSION = re.compile(r"\bv[0-9]+\b")
_READERS = {EventType.FIXITY_CHECK.label: 0, EventType.REPLICATION.label: 1, EventType.RECOVERY.label: 2}
"""Events of those who read every byte of a copy. A repair ends by reading what a check found before it,
perhaps in the same second: then the later kind counts."""


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
            if found.committed or store.repository.lost_root(found.root):
                yield _register(archive, store, found.root)
    yield from _restore_history(archive)


def _register(archive: Archive, store: ArchivalStore, root: str) -> Rebuilt:
    repository = store.repository
    try:
        object_id = _object_id(repository, root)
        with leased_aip(archive, object_id, "rebuild") as leased:
            _heal(leased, store.name, object_id)
            # What is damaged here is read from another copy; what the version is, from this one.
            others = [one.repository for one in archive.stores if one is not store]
            record = read_stored_record([repository, *others], object_id, archive.work)
            versions = [
                VersionRow(v.version, v.created, v.message, v.inventory_sha512)
                for v in repository.versions(object_id)
            ]
            _update_catalogue(leased.archive, leased.row, store.name, record, versions)
    except (Busy, LeaseLost) as error:
        return Rebuilt(store.name, root, f"left for another run: {error}")
    except (PipelineError, StorageError, ValueError) as error:
        if getattr(error, "store", None) == archive.catalogue.name:
            raise
        return Rebuilt(store.name, root, str(error))
    return Rebuilt(store.name, object_id, "")


def _object_id(repository: OcflRepository, root: str) -> str:
    """By the root inventory; where it cannot be read, by the place. Raises InventoryUnreadable."""
    try:
        return repository.object_id(root)
    except (ObjectMissing, InventoryUnreadable):
        object_id = repository.layout.object_id(root)
        if object_id is None or not repository.has_intact_version(root):
            raise
        return object_id


def _heal(leased: LeasedAip, store: str, aip: str) -> None:
    """Put a lost root inventory back; what cannot be put back is told when the object is read."""
    row, catalogue = leased.row, leased.archive.catalogue
    if row is not None and row.state != AipState.KEPT:
        return  # what is being removed must not come back
    own = next(one for one in leased.archive.stores if one.name == store)
    if own.repository.has_confirmed_root(aip):
        return  # as nearly always: its inventory, perhaps of a million files, is not parsed once more
    protection = protection_of(catalogue, row) if row else UNPROTECTED
    with suppress(ObjectMissing, InventoryUnreadable):  # another copy may have what is lost in this one
        own.repository.heal(aip, protection)


def _update_catalogue(
    archive: Archive,
    known: AipRow | None,
    store: str,
    record: StoredRecord,
    versions: list[VersionRow],
) -> None:
    catalogue, aip = archive.catalogue, record.aip.id
    if known is not None and known.state == AipState.REMOVING:
        return  # its removal is resumed; that it is half gone says nothing new
    unlisted = known is not None and known.files > 0 and not catalogue.files.count(aip)
    if known is None or unlisted or _number(record.aip) > _number(known):
        catalogue.aips.register(
            record.aip,
            copies=[_of_older_version(copy, record.aip) for copy in catalogue.copies.of(aip)],
            formats=record.formats,
            events=record.events,
            files=record.files(),
            message=versions[-1].message,
            version_created=versions[-1].created,
        )
        for version in versions[:-1]:
            catalogue.versions.put(aip, version)
    _complete_versions(archive, aip, versions)
    copy = catalogue.copies.get(aip, store)
    newest = catalogue.aips.get(aip)
    assert newest is not None, "it was registered now or before"
    found = replace(copy, version=record.aip.version) if copy is not None else None
    if found is None:
        state = str(CopyState.UNVERIFIED)  # being there says nothing about its bytes
        found = CopyRow(aip, store, record.aip.version, "", state, "")
    elif copy is not None and copy.version != record.aip.version and copy.state != CopyState.DAMAGED:
        found = replace(found, state=str(CopyState.UNVERIFIED), verified="")
    catalogue.copies.put(_of_older_version(found, newest))


def _complete_versions(archive: Archive, aip: str, versions: list[VersionRow]) -> None:
    """What another store knows of an earlier version whose inventory has rotted or is lost in one."""
    known = archive.catalogue.versions.digests(aip)
    for version in versions:
        if version.inventory_sha512 and version.version not in known:
            archive.catalogue.versions.put(aip, version)


def _of_older_version(copy: CopyRow, newest: AipRow) -> CopyRow:
    """A copy that lacks the newest version is pending: replication brings it up to date."""
    if copy.version == newest.version or copy.state == CopyState.DAMAGED:
        return copy
    detail = f"it holds {copy.version or 'nothing'}"
    return replace(copy, state=str(CopyState.PENDING), detail=detail, verified="")


def _number(row: AipRow) -> int:
    return int(row.version.removeprefix("v"))


def _restore_history(archive: Archive) -> Iterator[Rebuilt]:
    """Events after the ingest, holds, removals, decisions, and when each copy was last read by somebody.

    What cannot be read of a journal is told, a line each, and stops nothing.
    """
    history = _History(archive)
    for store in archive.stores:  # first, because everything else about a removed AIP hangs on it
        for record in read_journal(store.repository.store):
            if record.event is not None and history.is_tombstone(record.event):
                yield from history.guarded(store.name, record, history.restore_tombstone)
            else:
                history.note_begun_removal(record)
    history.restore_begun_removals()
    for store in archive.stores:
        records = read_journal(store.repository.store)
        while batch := list(islice(records, _BATCH)):
            history.learn_known(batch)
            for record in batch:
                yield from history.guarded(store.name, record, history.take)
    yield from history.apply()


class _History:
    """The journals of all stores together: the last word counts, whichever store has it."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: set[str] = set()
        self._last_read: dict[tuple[str, str], EventRow] = {}
        self._held_or_removed: set[str] = set()
        self._begun: dict[str, tuple[AipRow, RemovalRow]] = {}

    def guarded(
        self, store: str, record: JournalRecord, action: Callable[[JournalRecord], None]
    ) -> Iterator[Rebuilt]:
        """Do something with a record; tell of one that cannot be understood."""
        problem = record.problem
        if not problem:
            try:
                action(record)
            except _NOT_UNDERSTOOD as error:
                problem = f"a record cannot be understood: {error!r}"
            except (Busy, LeaseLost) as error:
                problem = f"left for another run: {error}"
        if problem:
            yield Rebuilt(store, record.place, problem)

    def learn_known(self, batch: list[JournalRecord]) -> None:
        """Ask once for many which events the catalogue has."""
        ids = [record.event.id for record in batch if record.event is not None]
        self._known = self._archive.catalogue.events.known(ids)

    @staticmethod
    def is_tombstone(row: EventRow) -> bool:
        """Whether an event says that an AIP was removed from every store."""
        return row.type == EventType.DELETION.label and row.outcome == "success"

    def restore_tombstone(self, record: JournalRecord) -> None:
        """An AIP that is not in storage any more comes back as what was removed.

        One that the catalogue keeps, an old backup of it perhaps, was removed since when no store has
        it and the catalogue has never heard of the removal. Otherwise it was taken in again, and if it
        is missing now, it is missing. Raises Busy, LeaseLost.
        """
        assert record.event is not None
        catalogue, row = self._archive.catalogue, self._archive.catalogue.aips.get(record.aip)
        if row is None:
            restore_tombstone(self._archive, record.event)
        elif row.state != AipState.REMOVED and not catalogue.events.known([record.event.id]):
            with leased_aip(self._archive, record.aip, "rebuild") as leased:
                if not any(one.repository.holds(record.aip) for one in leased.archive.stores):
                    restore_removal(leased.archive, record.event)

    def note_begun_removal(self, record: JournalRecord) -> None:
        """Remember an approval. One that cannot be understood is told when its record is taken."""
        with suppress(*_NOT_UNDERSTOOD):
            begun = begun_removal(record.event) if record.event is not None else None
            if begun is not None:
                self._begun[record.aip] = begun

    def restore_begun_removals(self) -> None:
        """AIPs whose removal two people agreed to and that was cut off, of which no store has a committed
        copy any more: it is finished, or a hold keeps what is left."""
        catalogue = self._archive.catalogue
        for aip, (row, removal) in self._begun.items():
            if catalogue.aips.get(aip) is None:
                catalogue.aips.add_tombstone(row)
                catalogue.removals.restore(removal)

    def take(self, record: JournalRecord) -> None:
        """Add what is new; remember what only the last word decides."""
        catalogue, row = self._archive.catalogue, record.event
        if record.decision is not None:
            catalogue.decisions.restore(record.decision)
        if row is None or catalogue.aips.get(record.aip) is None:
            return
        if row.id not in self._known:
            self._known.add(row.id)
            catalogue.events.add(record.aip, [row], journaled=True)
            apply_changes(self._archive, record.aip, row)
        self._remember(record.aip, row)

    def _remember(self, aip: str, row: EventRow) -> None:
        if row.type in _READERS and row.store and row.outcome != "warning" and _is_about_copy(row):
            key = (aip, row.store)
            if key not in self._last_read or _when(self._last_read[key]) <= _when(row):
                self._last_read[key] = row
        if hold_of(row)[0] or is_about_removal(row):
            self._held_or_removed.add(aip)

    def apply(self) -> Iterator[Rebuilt]:
        """Holds and removals as they were last, and of each copy what the last one who read it found."""
        for aip in self._held_or_removed:
            try:
                with leased_aip(self._archive, aip, "rebuild") as leased:
                    self._apply_hold_and_removal(leased.archive.catalogue, aip)
            except (Busy, LeaseLost) as error:
                yield Rebuilt("", aip, f"left for another run: {error}")
        for (aip, store), read in self._last_read.items():
            self._apply_reading(aip, store, read)

    @staticmethod
    def _apply_hold_and_removal(catalogue: Catalogue, aip: str) -> None:
        """The catalogue's events say how they are: those of the journals are among them by now, and so is
        what was placed, released or refused while the journals were read."""
        history = RemovalHistory()
        for event in catalogue.events.of(aip):
            with suppress(*_NOT_UNDERSTOOD):  # told when its record was read
                history.take(event)
        if history.has_holds:
            catalogue.holds.restore(aip, history.hold())
        row, removal = catalogue.aips.get(aip), history.removal()
        if row is None or row.state != AipState.KEPT or removal is None:
            return  # refused, carried out, or taken in again since
        catalogue.removals.restore(removal)
        if removal.approved_by:
            catalogue.aips.set_state(
                aip, AipState.REMOVING
            )  # two people had agreed; the next run finishes it

    def _apply_reading(self, aip: str, store: str, row: EventRow) -> None:
        catalogue = self._archive.catalogue
        copy, versions = catalogue.copies.get(aip, store), catalogue.versions.of(aip)
        if copy is None or copy.state != CopyState.UNVERIFIED or not versions:
            return
        if not _is_about_version(row, versions[-1]):
            return  # it was read before the newest version came: that one nobody has read
        intact = row.outcome == "success"
        state = str(CopyState.VERIFIED if intact else CopyState.DAMAGED)
        verified, detail = (row.time, "") if intact else ("", row.detail)
        catalogue.copies.put(
            replace(copy, verified=verified, last_checked=row.time, state=state, detail=detail)
        )


def _is_about_version(row: EventRow, version: VersionRow) -> bool:
    """Whether this version was read; in older journals only the clock tells."""
    named = _VERSION.search(row.detail)
    return named[0] == version.version if named else row.time >= version.created


def _when(row: EventRow) -> tuple[str, int, str]:
    return row.time, _READERS[row.type], row.id


def _is_about_copy(row: EventRow) -> bool:
    """A fixity check of the whole copy, not one of the objects that it found wrong."""
    return row.type != EventType.FIXITY_CHECK.label or " bytes read and compared" in row.detail
