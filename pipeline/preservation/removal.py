"""Removing an AIP: a reason, two people, no hold, no retention; a tombstone and a certificate stay."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from packages.package_file import timestamp
from packages.premis import EventOutcome, EventType
from pipeline.decisions import same_person
from pipeline.errors import PipelineError, UnknownPackage
from pipeline.ingest import Archive
from pipeline.presence import require_present
from pipeline.preservation.events import event
from pipeline.preservation.journal import write_journal
from storage.catalogue import AipRow, EventRow, HoldRow, RemovalRow

__all__ = [
    "RemovalRefused",
    "Removed",
    "approve_removal",
    "lift_hold",
    "place_hold",
    "refuse_removal",
    "request_removal",
    "restore_hold",
    "restore_tombstone",
]


class RemovalRefused(PipelineError):
    """The AIP may not be removed, or not by this person; the message says why."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A removal carried out, with the document that says so."""

    aip: AipRow
    removal: RemovalRow
    certificate: Path


def place_hold(archive: Archive, aip: str, *, reason: str, person: str) -> tuple[str, ...]:
    """Forbid the removal of an AIP until the hold is lifted; the stores that enforce it themselves.

    It stands in the catalogue before any store is told. Raises UnknownPackage; StoreUnavailable
    when a store that should enforce it could not be told: placing it again tells it.
    """
    _known(archive, aip)
    now = timestamp(archive.clock())
    hold = HoldRow(aip, _said(reason, "reason"), _said(person, "name"), now)
    archive.catalogue.set_hold(hold)
    note = json.dumps({"hold": asdict(hold)}, ensure_ascii=False)
    _tell(archive, aip, EventType.POLICY_ASSIGNMENT, f"hold placed by {person}: {reason}", note=note)
    write_journal(archive)
    return tuple(one.name for one in archive.stores if one.repository.set_hold(aip, held=True))


def lift_hold(archive: Archive, aip: str, *, reason: str, person: str) -> None:
    """Take a hold away; the reason is recorded. Raises UnknownPackage, RemovalRefused.

    It stands until every store has let go: StoreUnavailable leaves it standing.
    """
    _known(archive, aip)
    if archive.catalogue.hold(aip) is None:
        raise RemovalRefused(f"there is no hold on {aip}")
    text = f"hold lifted by {_said(person, 'name')}: {_said(reason, 'reason')}"
    for store in archive.stores:
        store.repository.set_hold(aip, held=False)
    archive.catalogue.lift_hold(aip)
    note = json.dumps({"hold": None, "aip": aip})
    _tell(archive, aip, EventType.POLICY_ASSIGNMENT, text, note=note)
    write_journal(archive)


def request_removal(archive: Archive, aip: str, *, reason: str, person: str) -> RemovalRow:
    """The first of two people asks. Nothing is removed yet. Raises UnknownPackage, RemovalRefused."""
    row = _known(archive, aip)
    _refuse_protected(archive, row)
    now = timestamp(archive.clock())
    request = RemovalRow(aip, _said(reason, "reason"), _said(person, "name"), now, "", "")
    archive.catalogue.set_removal(request)
    text = f"removal asked for by {person}: {reason}"
    _tell(archive, aip, EventType.DELETION, text, outcome=EventOutcome.WARNING)
    return request


def refuse_removal(archive: Archive, aip: str, *, person: str, reason: str) -> None:
    """A request is turned down, which is recorded. Raises UnknownPackage, RemovalRefused."""
    _known(archive, aip)
    request = archive.catalogue.removal(aip)
    if request is None or request.removed or request.approved_by:
        raise RemovalRefused(f"no request to remove {aip} is open")
    text = f"removal refused by {_said(person, 'name')}: {_said(reason, 'reason')}"
    _tell(archive, aip, EventType.DELETION, text, outcome=EventOutcome.FAILURE)
    archive.catalogue.withdraw_removal(aip)


def approve_removal(archive: Archive, aip: str, *, person: str) -> Removed:
    """The second person agrees, and the AIP is removed from every store.

    A removal that was cut off is gone on with. Raises UnknownPackage, RemovalRefused;
    StoreUnavailable when a store cannot be reached (then nothing more is removed).
    """
    row = archive.catalogue.aip(aip)
    if row is None:
        raise UnknownPackage(f"the catalogue has no AIP {aip}")
    request = archive.catalogue.removal(aip)
    if request is None or request.removed:
        raise RemovalRefused(f"nobody asked for the removal of {aip}")
    if same_person(_said(person, "name"), request.requested_by):
        raise RemovalRefused(f"{person} asked for this removal; another person must approve it")
    _refuse_protected(archive, row)  # also when it is gone on with: a hold may have come since
    for store in archive.stores:
        require_present(store, archive.catalogue)  # before anything is gone
    if not request.approved_by:
        request = replace(request, approved_by=person.strip())
        archive.catalogue.set_removal(request)
        archive.catalogue.set_state(aip, "removing")
    for store in archive.stores:
        store.repository.remove(aip)
    return _finish(archive, row, request)


def _finish(archive: Archive, row: AipRow, request: RemovalRow) -> Removed:
    done = replace(request, removed=timestamp(archive.clock()))
    gone = replace(row, state="removed")
    note = json.dumps({"aip": asdict(gone), "removal": asdict(done)}, ensure_ascii=False, sort_keys=True)
    text = (
        f"removed from {', '.join(store.name for store in archive.stores)}: {done.reason}; "
        f"asked for by {done.requested_by}, approved by {done.approved_by}"
    )
    _tell(archive, row.id, EventType.DELETION, text, note=note)
    archive.catalogue.forget_copies(row.id)
    archive.catalogue.set_removal(done)
    archive.catalogue.set_state(row.id, "removed")
    write_journal(archive)
    return Removed(gone, done, _certificate(archive, gone, done))


def _certificate(archive: Archive, row: AipRow, removal: RemovalRow) -> Path:
    lines = [
        f"# Certificate of removal: {row.title}", "",
        f"- Archival identifier: `{row.id}`, version {row.version}",
        f"- Agency: {row.agency}; agreement: {row.agreement}",
        f"- Identifier at the agency: {row.external_identifier or 'none'}",
        f"- Taken into custody: {row.created}",
        f"- Content: {row.files} files, {row.bytes} bytes",
        f"- SHA-512 of the list of contents: `{row.content_digest}`",
        f"- SHA-512 of the last inventory: `{row.inventory_sha512}`", "",
        f"- Reason: {removal.reason}",
        f"- Asked for by {removal.requested_by} on {removal.requested}",
        f"- Approved by {removal.approved_by}",
        f"- Removed from every store ({', '.join(s.name for s in archive.stores)}) on {removal.removed}",
        "", "## Signatures", "", f"{removal.requested_by}: ____________________", "",
        f"{removal.approved_by}: ____________________", "",
    ]  # fmt: skip
    archive.receipts.mkdir(parents=True, exist_ok=True)
    place = archive.receipts / f"removal-{row.id.rpartition(':')[2]}.md"
    place.write_text("\n".join(lines), "utf-8")
    return place


def restore_tombstone(archive: Archive, aip: str, row: EventRow) -> None:
    """A removed AIP's record from the journal, for a catalogue that lost it."""
    record = json.loads(row.note)
    archive.catalogue.add_tombstone(AipRow(**record["aip"]))
    archive.catalogue.set_removal(RemovalRow(**record["removal"]))


def restore_hold(archive: Archive, row: EventRow) -> None:
    """A hold placed or lifted, from the journal."""
    if row.type != EventType.POLICY_ASSIGNMENT.label or not row.note.startswith("{"):
        return
    record = json.loads(row.note)
    if record.get("hold"):
        archive.catalogue.set_hold(HoldRow(**record["hold"]))
    elif "aip" in record:
        archive.catalogue.lift_hold(record["aip"])


def _known(archive: Archive, aip: str) -> AipRow:
    row = archive.catalogue.aip(aip)
    if row is None or row.state == "removed":
        raise UnknownPackage(f"the archive has no AIP {aip}")
    return row


def _refuse_protected(archive: Archive, row: AipRow) -> None:
    hold = archive.catalogue.hold(row.id)
    if hold:
        raise RemovalRefused(f"a hold stands since {hold.since} ({hold.person}: {hold.reason})")
    today = archive.clock().date().isoformat()
    if row.retain_until and today < row.retain_until:
        raise RemovalRefused(f"the agreement “{row.agreement}” keeps it until {row.retain_until}")
    for store in archive.stores:
        lock = store.repository.retention(row.id)
        if lock is not None and lock.until is not None and lock.until > archive.clock():
            raise RemovalRefused(f"store “{store.name}” has locked it until {timestamp(lock.until)}")
        if lock is not None and lock.legal_hold:
            raise RemovalRefused(f"store “{store.name}” keeps it under a legal hold")


def _said(text: str, what: str) -> str:
    if not text.strip():
        raise RemovalRefused(f"a removal or hold needs a {what}")
    return text.strip()


def _tell(
    archive: Archive,
    aip: str,
    kind: EventType,
    text: str,
    *,
    note: str = "",
    outcome: EventOutcome = EventOutcome.SUCCESS,
) -> None:
    row = event(kind, archive.clock(), store="*", detail=text, note=note, outcome=outcome)
    archive.catalogue.add_events(aip, [row])
