"""Removing an AIP: a reason, two people, no hold, no retention; a tombstone and a certificate stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from packages.escaping import for_markdown
from packages.package_file import timestamp
from packages.premis import EventOutcome, EventType
from pipeline.archive import Archive
from pipeline.errors import PipelineError, UnknownPackage
from pipeline.holdings.events import event
from pipeline.holdings.journal import write_journal
from pipeline.holdings.leases import WAIT_FOR_PERSON_S, leased_aip
from pipeline.holdings.presence import require_present
from pipeline.preservation.removal_history import (
    approval_payload,
    hold_payload,
    refusal_payload,
    release_payload,
    request_payload,
)
from pipeline.review.decisions import same_person
from storage.catalogue import AipRow, EventRow, HoldRow, RemovalRow
from storage.durable import write_durably
from storage.errors import Busy, HoldStands, LeaseLost, StoreUnavailable
from storage.states import AipState

__all__ = [
    "HoldPlaced",
    "RemovalRefused",
    "Removed",
    "approve_removal",
    "lift_hold",
    "place_hold",
    "refuse_removal",
    "request_removal",
    "restore_removal",
    "restore_tombstone",
    "resume_removals",
    "tell_stores_of_holds",
]


class RemovalRefused(PipelineError):
    """The AIP may not be removed, or not by this person; the message says why."""


@dataclass(frozen=True, slots=True)
class HoldPlaced:
    """A hold that stands. ``enforced`` are stores that refuse removals themselves now; ``untold``
    ones that should and do not know yet, each with the reason."""

    enforced: tuple[str, ...]
    untold: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """A removal carried out, with the document that says so."""

    aip: AipRow
    removal: RemovalRow
    certificate: Path


def place_hold(
    archive: Archive, aip: str, *, reason: str, person: str, wait_s: float = WAIT_FOR_PERSON_S
) -> HoldPlaced:
    """Forbid the removal of an AIP until the hold is lifted; the stores that enforce it themselves.

    It stands, durably and in the journal, before any store is told, and does not wait for an audit
    that reads the AIP: only a removal that is going on keeps it out. Raises UnknownPackage,
    RemovalRefused; StoreUnavailable when it stands and no required store took the journal.
    """
    now = timestamp(archive.clock())
    hold = HoldRow(aip, _said(reason, "reason"), _said(person, "name"), now)
    happened = _event(
        archive,
        EventType.POLICY_ASSIGNMENT,
        f"hold placed by {hold.person}: {hold.reason}",
        payload=hold_payload(hold),
    )
    try:
        state = archive.catalogue.holds.place(hold, happened, while_removing=False)
        if state == AipState.REMOVING:
            with leased_aip(archive, aip, "legal hold", wait_s=wait_s) as leased:
                state = leased.archive.catalogue.holds.place(hold, happened, while_removing=True)
    except HoldStands as error:
        raise RemovalRefused(
            f"{error}. Lift it, then place one that names both reasons, or wait until it is lifted."
        ) from None
    if state not in (AipState.KEPT, AipState.REMOVING):
        raise UnknownPackage(f"the archive has no AIP {aip}")
    write_journal(archive).require()
    return _tell_stores(archive, aip, wait_s=wait_s)


def _tell_stores(archive: Archive, aip: str, *, wait_s: float) -> HoldPlaced:
    enforced: list[str] = []
    untold: list[tuple[str, str]] = []
    enforcing = [one for one in archive.stores if one.repository.writer.enforces_holds]
    if not enforcing:
        return HoldPlaced((), ())
    try:
        with leased_aip(archive, aip, "legal hold", wait_s=wait_s) as leased:
            if leased.archive.catalogue.holds.get(aip) is None:
                return HoldPlaced((), ())  # lifted meanwhile
            for store in leased.archive.stores:
                try:
                    if store.repository.set_hold(aip, held=True):
                        enforced.append(store.name)
                except StoreUnavailable as error:
                    untold.append((store.name, error.reason))
    except (Busy, LeaseLost, StoreUnavailable) as error:
        if isinstance(error, StoreUnavailable) and error.store == archive.catalogue.name:
            raise
        untold += [(one.name, str(error)) for one in enforcing if one.name not in enforced]
    return HoldPlaced(tuple(enforced), tuple(untold))


def tell_stores_of_holds(archive: Archive) -> Iterator[tuple[str, str, str]]:
    """(AIP, store, reason) where a hold stands that a store should enforce and could not be told of.

    The stores that can be told are told: what a hold placed during an audit, or while a store was
    away, left undone.
    """
    if not any(one.repository.writer.enforces_holds for one in archive.stores):
        return
    for hold in archive.catalogue.holds.all():
        for store in archive.stores:
            try:
                lock = store.repository.retention(hold.aip)
                told = not store.repository.writer.enforces_holds or (lock is not None and lock.legal_hold)
            except StoreUnavailable as error:
                yield hold.aip, store.name, error.reason
                continue
            if not told:
                placed = _tell_stores(archive, hold.aip, wait_s=0)
                yield from ((hold.aip, name, reason) for name, reason in placed.untold)


def lift_hold(
    archive: Archive, aip: str, *, reason: str, person: str, wait_s: float = WAIT_FOR_PERSON_S
) -> None:
    """Lift a hold; the reason is recorded. Raises UnknownPackage, RemovalRefused, Busy.

    It stands until every store has let go: StoreUnavailable leaves it standing.
    """
    text = f"hold lifted by {_said(person, 'name')}: {_said(reason, 'reason')}"
    with leased_aip(archive, aip, "release of a legal hold", wait_s=wait_s) as leased:
        _require_kept(leased.row, aip)
        hold = leased.archive.catalogue.holds.get(aip)
        if hold is None:
            raise RemovalRefused(f"there is no legal hold on {aip}")
        for store in leased.archive.stores:
            store.repository.set_hold(aip, held=False)
        happened = _event(archive, EventType.POLICY_ASSIGNMENT, text, payload=release_payload(hold))
        if not leased.archive.catalogue.holds.lift(hold, happened):
            for store in leased.archive.stores:
                store.repository.set_hold(aip, held=True)
            raise RemovalRefused(f"another hold was placed on {aip} at this moment; it stands")
    write_journal(archive).require()


def request_removal(
    archive: Archive, aip: str, *, reason: str, person: str, wait_s: float = WAIT_FOR_PERSON_S
) -> RemovalRow:
    """The first of two people asks. Nothing is removed yet. Raises UnknownPackage, RemovalRefused, Busy."""
    now = timestamp(archive.clock())
    request = RemovalRow(aip, _said(reason, "reason"), _said(person, "name"), now, "", "")
    text = f"removal asked for by {request.requested_by}: {request.reason}"
    with leased_aip(archive, aip, "request for removal", wait_s=wait_s) as leased:
        row = _require_kept(leased.row, aip)
        if row.state == AipState.REMOVING:
            raise RemovalRefused(f"the removal of {aip} is approved already")
        _refuse_protected(leased.archive, row)
        payload = request_payload(request, leased.archive.catalogue.removals.get(aip))
        asked = _event(archive, EventType.DELETION, text, payload=payload, outcome=EventOutcome.WARNING)
        leased.archive.catalogue.removals.request(request, asked)
    write_journal(archive).require()
    return request


def refuse_removal(
    archive: Archive, aip: str, *, person: str, reason: str, wait_s: float = WAIT_FOR_PERSON_S
) -> None:
    """A request is turned down, which is recorded. Raises UnknownPackage, RemovalRefused, Busy."""
    text = f"removal refused by {_said(person, 'name')}: {_said(reason, 'reason')}"
    with leased_aip(archive, aip, "refusal of a removal", wait_s=wait_s) as leased:
        _require_kept(leased.row, aip)
        request = leased.archive.catalogue.removals.get(aip)
        if request is None or request.removed or request.approved_by:
            raise RemovalRefused(f"no request to remove {aip} is open")
        payload = refusal_payload(request)
        refused = _event(archive, EventType.DELETION, text, payload=payload, outcome=EventOutcome.FAILURE)
        leased.archive.catalogue.removals.withdraw(aip, refused)
    write_journal(archive).require()


_STAGES = {AipState.KEPT: (False, False), AipState.REMOVING: (True, False), AipState.REMOVED: (True, True)}
"""What is known of a removal, approved and carried out, while its AIP is in a state."""


def approve_removal(
    archive: Archive, aip: str, *, person: str, wait_s: float = WAIT_FOR_PERSON_S
) -> Removed:
    """The second person agrees, and the AIP is removed from every store.

    A removal that was interrupted is resumed, by this or by the next nightly run. Raises
    UnknownPackage, RemovalRefused, Busy; StoreUnavailable when a store cannot be reached (then
    nothing more is removed).
    """
    with leased_aip(archive, aip, "removal", wait_s=wait_s) as leased:
        row, request = leased.row, leased.archive.catalogue.removals.get(aip)
        if row is None:
            raise UnknownPackage(f"the catalogue has no AIP {aip}")
        if request is None:
            raise RemovalRefused(f"nobody asked for the removal of {aip}")
        if same_person(_said(person, "name"), request.requested_by):
            raise RemovalRefused(f"{person} asked for this removal; another person must approve it")
        stage = (bool(request.approved_by), bool(request.removed))
        if stage != _STAGES[AipState(row.state)]:
            raise RemovalRefused(f"nobody asked for the removal of {aip} as it is now ({row.state})")
        if not request.approved_by:
            request = _approve(leased.archive, row, request, person.strip())
        done = request if request.removed else _carry_out(leased.archive, row, request)
    return _documented(archive, row, done)


def resume_removals(archive: Archive) -> Iterator[tuple[str, str]]:
    """Finish removals that two people agreed to and that were interrupted: (AIP, reason if it was not).

    What now protects the AIP (a hold that came since) keeps what is left of it.
    """
    for request in list(archive.catalogue.removals.all()):
        row = archive.catalogue.aips.get(request.aip)
        if not request.approved_by or row is None or row.state != AipState.REMOVING:
            continue
        try:
            with leased_aip(archive, request.aip, "removal") as leased:
                if leased.row is None or leased.row.state != AipState.REMOVING:
                    continue
                done = _carry_out(leased.archive, leased.row, request)
        except (Busy, LeaseLost, RemovalRefused) as error:
            yield request.aip, str(error)
            continue
        except StoreUnavailable as error:
            if error.store == archive.catalogue.name:
                raise
            yield request.aip, str(error)
            continue
        _documented(archive, leased.row, done)
        yield request.aip, ""


def _approve(archive: Archive, row: AipRow, request: RemovalRow, person: str) -> RemovalRow:
    _refuse_protected(archive, row)
    for store in archive.stores:
        require_present(store, archive.catalogue)  # before anything is gone
    approved = replace(request, approved_by=person)
    text = f"removal approved by {person}; asked for by {request.requested_by}: {request.reason}"
    happened = _event(
        archive,
        EventType.DELETION,
        text,
        payload=approval_payload(approved, row),
        outcome=EventOutcome.WARNING,
    )
    hold = archive.catalogue.removals.begin(approved, happened)
    if hold is not None:
        raise RemovalRefused(f"a hold stands since {hold.since} ({hold.person}: {hold.reason})")
    return approved


def _carry_out(archive: Archive, row: AipRow, request: RemovalRow) -> RemovalRow:
    """Remove from store after store, then say so. Each step can be done again."""
    _refuse_protected(archive, row)  # also when it is resumed: a hold may have come since
    for store in archive.stores:
        require_present(store, archive.catalogue)
    # First: a catalogue lost from here on is rebuilt from stores that hold the AIP in part, or no more.
    write_journal(archive).require()
    for store in archive.stores:
        store.repository.remove(row.id)
    done = replace(request, removed=timestamp(archive.clock()))
    gone = replace(row, state=AipState.REMOVED)
    payload = json.dumps({"aip": asdict(gone), "removal": asdict(done)}, ensure_ascii=False, sort_keys=True)
    text = (
        f"removed from {', '.join(archive.store_names)}: {done.reason}; "
        f"asked for by {done.requested_by}, approved by {done.approved_by}"
    )
    _certificate(archive, gone, done)  # first: what is removed and has no certificate nobody would look for
    archive.catalogue.removals.complete(done, _event(archive, EventType.DELETION, text, payload=payload))
    return done


def _documented(archive: Archive, row: AipRow, done: RemovalRow) -> Removed:
    """The journal and the certificate of a removal that is complete; again is harmless."""
    gone = replace(row, state=AipState.REMOVED)
    place = _certificate_place(archive, row)
    if not place.exists():
        _certificate(archive, gone, done)
    write_journal(archive).require()
    return Removed(gone, done, place)


def _certificate_place(archive: Archive, row: AipRow) -> Path:
    return archive.receipts / f"removal-{row.id.rpartition(':')[2]}.md"


def _certificate(archive: Archive, row: AipRow, removal: RemovalRow) -> None:
    lines = [
        f"# Certificate of removal: {for_markdown(row.title)}", "",
        f"- Archival identifier: `{row.id}`, version {row.version}",
        f"- Agency: {for_markdown(row.agency)}; agreement: {for_markdown(row.agreement)}",
        f"- Identifier at the agency: {for_markdown(row.external_identifier or 'none')}",
        f"- Taken into custody: {row.created}",
        f"- Content: {row.files} files, {row.bytes} bytes",
        f"- SHA-512 of the list of contents: `{row.content_digest}`",
        f"- SHA-512 of the last inventory: `{row.inventory_sha512}`", "",
        f"- Reason: {for_markdown(removal.reason)}",
        f"- Asked for by {for_markdown(removal.requested_by)} on {removal.requested}",
        f"- Approved by {for_markdown(removal.approved_by)}",
        f"- Removed from every store ({for_markdown(', '.join(archive.store_names))}) on {removal.removed}",
        "", "## Signatures", "", f"{for_markdown(removal.requested_by)}: ____________________", "",
        f"{for_markdown(removal.approved_by)}: ____________________", "",
    ]  # fmt: skip
    write_durably((_certificate_place(archive, row), "\n".join(lines).encode()))


def restore_tombstone(archive: Archive, row: EventRow) -> None:
    """A removed AIP's record from the journal, for a catalogue that lost it."""
    record = json.loads(row.payload)
    archive.catalogue.aips.add_tombstone(AipRow(**record["aip"]))
    archive.catalogue.removals.restore(RemovalRow(**record["removal"]))


def restore_removal(archive: Archive, row: EventRow) -> None:
    """As ``restore_tombstone``, for a catalogue that has an older state of the AIP; under its lease."""
    record = json.loads(row.payload)
    archive.catalogue.aips.add_tombstone(
        AipRow(**record["aip"])
    )  # with its last version, perhaps a later one
    archive.catalogue.removals.complete(RemovalRow(**record["removal"]), row)


def _require_kept(row: AipRow | None, aip: str) -> AipRow:
    if row is None or row.state == AipState.REMOVED:
        raise UnknownPackage(f"the archive has no AIP {aip}")
    return row


def _refuse_protected(archive: Archive, row: AipRow) -> None:
    hold = archive.catalogue.holds.get(row.id)
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


def _event(
    archive: Archive,
    kind: EventType,
    text: str,
    *,
    payload: str = "",
    outcome: EventOutcome = EventOutcome.SUCCESS,
) -> EventRow:
    return event(kind, archive.clock(), store="*", detail=text, payload=payload, outcome=outcome)
