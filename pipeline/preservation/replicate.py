"""Making the copies that are owed: to stores that were out of reach, damaged, or came later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packages.package_file import timestamp
from packages.premis import EventOutcome, EventType
from pipeline.ingest import Archive
from pipeline.presence import require_present
from pipeline.preservation.events import event
from pipeline.protection import protection_of
from storage.catalogue import AipRow, CopyRow
from storage.copies import ArchivalStore, CopyState
from storage.errors import StorageError, StoreUnavailable
from storage.fixity import audit_copy, trusted_inventory

__all__ = ["Replicated", "replicate", "replicate_one"]


_FOR_REPAIR = {CopyState.DAMAGED, CopyState.UNREADABLE, CopyState.UNVERIFIED}


@dataclass(frozen=True, slots=True)
class Replicated:
    """What became of one copy. ``reason`` says why it could not be made."""

    aip: str
    store: str
    source: str
    made: bool
    reason: str


def replicate(archive: Archive, stores: Sequence[ArchivalStore] | None = None) -> Iterator[Replicated]:
    """Fill every store (or those given) with what it lacks. Running it again costs little.

    What is damaged is left to repair, which looks at every object before it replaces one.
    """
    for target in stores or archive.stores:
        for aip in archive.catalogue.lacking(target.name):
            copy = archive.catalogue.copy(aip, target.name)
            if copy is None or copy.state not in _FOR_REPAIR:
                yield replicate_one(archive, aip, target)


def replicate_one(archive: Archive, aip: str, target: ArchivalStore) -> Replicated:
    """Make one copy from the first store that can give every byte right, and look at it afterwards."""
    catalogue = archive.catalogue
    row = catalogue.aip(aip)
    assert row is not None, "asked for by the catalogue"
    good = set(catalogue.copies(aip))
    sources = sorted(archive.stores, key=lambda one: one.name not in good)
    reason = "no other store holds it"
    for source in sources:
        if source is target:
            continue
        try:
            require_present(target, catalogue)
            target.repository.copy_from(source.repository, aip, protection=protection_of(catalogue, row))
            return _confirmed(archive, row, target, source)
        except (StorageError, OSError) as error:
            reason = f"{source.name}: {error}"
    _record(archive, row, target, CopyState.OWED, reason, "")
    return Replicated(aip, target.name, "", False, reason)


def _confirmed(archive: Archive, row: AipRow, target: ArchivalStore, source: ArchivalStore) -> Replicated:
    aip = row.id
    trusted = trusted_inventory([target.repository], aip, row.inventory_sha512)
    if trusted is None and target.repository.inventory_digest(aip) == row.inventory_sha512:
        raise StoreUnavailable(target.name, "its inventory could not be read")
    if trusted is None:
        reason = f"{source.name} holds another version than the catalogue says"
        _record(archive, row, target, CopyState.DAMAGED, reason, "")
        return Replicated(aip, target.name, source.name, False, reason)
    versions = archive.catalogue.version_digests(aip)
    seen = audit_copy(target.repository, aip, trusted, versions)
    whole = seen.state is CopyState.VERIFIED
    reason = "" if whole else seen.reason or f"{len(seen.findings)} object(s) wrong after copying"
    verified = timestamp(archive.clock()) if whole else ""
    # A store that went away before it could be looked at is still owed the copy: done again then.
    state = CopyState.OWED if seen.state is CopyState.UNREADABLE else seen.state
    _record(archive, row, target, state, reason, verified)
    archive.catalogue.add_events(
        aip,
        [
            event(
                EventType.REPLICATION, archive.clock(), store=target.name,
                detail=f"{row.version} copied from {source.name}: {seen.objects} objects, "
                f"{seen.bytes} bytes, inventory SHA-512 {row.inventory_sha512}",
                note=reason, outcome=EventOutcome.SUCCESS if whole else EventOutcome.FAILURE,
            )
        ],
    )  # fmt: skip
    return Replicated(aip, target.name, source.name, whole, reason)


def _record(
    archive: Archive, row: AipRow, target: ArchivalStore, state: CopyState, reason: str, verified: str
) -> None:
    version = row.version if state is not CopyState.OWED else ""
    archive.catalogue.set_copy(CopyRow(row.id, target.name, version, verified, str(state), reason))
