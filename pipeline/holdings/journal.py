"""The journal: what happened to AIPs after their ingest, and what people decided, in every store.

One object a run, a line of JSON a record, below ``extensions/stele-journal/``; never changed once
written. Without it the history of audits, repairs, removals and decisions would live in the catalogue
alone.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from packages.package_file import timestamp
from pipeline.archive import Archive
from pipeline.holdings.presence import require_present
from storage.catalogue import DecisionRow, EventRow
from storage.errors import ObjectMissing, StorageError, StoreUnavailable
from storage.protocol import ObjectStore, Upload
from storage.replicas.store import ArchivalStore, Role

__all__ = ["FOLDER", "JournalRecord", "Journaled", "read_journal", "write_journal"]

FOLDER = "extensions/stele-journal"
_BATCH = 5000
_MAX_LINE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Journaled:
    """How many records are in storage now, and which stores lack some, each with the reason.

    ``complete``: no record is in the catalogue alone any more.
    """

    written: int
    behind: tuple[tuple[str, str], ...] = ()
    complete: bool = True

    def require(self) -> None:
        """For what a person is told: raises StoreUnavailable when no required store took it."""
        if not self.complete:
            reasons = "; ".join(f"“{name}”: {reason}" for name, reason in self.behind)
            raise StoreUnavailable(
                "journal", "what happened is recorded in the catalogue, but no required store took the "
                f"journal ({reasons}); the next nightly run writes it"
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One line: an event of an AIP, or a decision about a submission.

    ``place`` is where it stands; ``problem`` says why a line cannot be read.
    """

    aip: str = ""
    event: EventRow | None = None
    decision: DecisionRow | None = None
    place: str = ""
    problem: str = ""


def write_journal(archive: Archive, *, catch_up: bool = False) -> Journaled:
    """Bring records that only the catalogue knows into storage; durable there on return.

    A record counts as journaled when a required store has it. No store waits for another: one that is
    out of reach now gets the journals it lacks with the next run. Where no required store can take
    them the next run tries again; ``Journaled.require`` makes that an error. ``catch_up``: also give
    each store the journals that others have and it lacks, which lists them all.
    """
    behind: dict[str, str] = {}
    written = 0
    while True:
        decisions = archive.catalogue.decisions.not_journaled()
        events = archive.catalogue.events.not_journaled(_BATCH)
        if not decisions and not events:
            break
        lines: list[dict[str, object]] = [{"decision": _decision_facts(row)} for row in decisions]
        lines += [{"aip": aip, **asdict(row)} for aip, row in events]
        content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        if not _put_everywhere(archive, content, behind):
            return Journaled(written, tuple(behind.items()), complete=False)
        archive.catalogue.events.mark_journaled([row.id for _, row in events])
        archive.catalogue.decisions.mark_journaled([row.id for row in decisions])
        written += len(lines)
    for store in archive.stores if catch_up and len(archive.stores) > 1 else ():
        if store.name not in behind:
            _fetch_missing_journals(archive, store, behind)
    return Journaled(written, tuple(behind.items()))


def _decision_facts(row: DecisionRow) -> dict[str, object]:
    return {name: value for name, value in asdict(row).items() if name not in ("id", "journaled")}


def _put_everywhere(archive: Archive, content: bytes, behind: dict[str, str]) -> bool:
    """Whether a required store has it now; ``behind`` learns who has not."""
    now = archive.clock()
    name = f"{FOLDER}/{now:%Y/%m}/{timestamp(now).replace(':', '')}-{uuid.uuid4().hex[:8]}.jsonl"
    taken = False
    for store in archive.stores:
        if store.name in behind:
            continue
        try:
            require_present(store, archive.catalogue)
            store.repository.initialise()
            store.repository.store.replace(Upload.of(name, content))  # durable, unlike put
            taken = taken or store.role is Role.REQUIRED
        except StorageError as error:  # told to the caller; the store gets it with the next run
            behind[store.name] = error.reason if isinstance(error, StoreUnavailable) else str(error)
    return taken


def _fetch_missing_journals(archive: Archive, target: ArchivalStore, behind: dict[str, str]) -> None:
    """Give a store the journals that others have: it was away, or came later."""
    try:
        require_present(target, archive.catalogue)
        have = set(target.repository.store.list(f"{FOLDER}/"))
        for source in archive.stores:
            if source is target or source.name in behind:
                continue
            for key in source.repository.store.list(f"{FOLDER}/"):
                if key not in have:
                    have.add(key)
                    with target.repository.spooled(source.repository.store, key) as upload:
                        target.repository.store.replace(replace(upload, key=key))
    except (StorageError, OSError) as error:
        behind.setdefault(target.name, str(error))


def read_journal(store: ObjectStore) -> Iterator[JournalRecord]:
    """Everything a store's journals tell, oldest first, some perhaps twice.

    A line that cannot be read is a record with a problem; the other stores have the same journals.
    """
    for key in store.list(f"{FOLDER}/"):
        try:
            with store.open(key) as stream:
                number = 0
                while line := stream.readline(_MAX_LINE_BYTES):
                    number += 1
                    yield replace(_parsed(line), place=f"{key}:{number}")
        except ObjectMissing:
            continue  # removed since it was listed


def _with_payload(row: EventRow) -> EventRow:
    """As it is written today: journals from before 2026-11-28 have the payload in the note."""
    if row.payload or not row.note.startswith("{"):
        return row
    return replace(row, note="", payload=row.note)


def _parsed(line: bytes) -> JournalRecord:
    try:
        facts = json.loads(line)
        if "decision" in facts:
            return JournalRecord(decision=DecisionRow(id=0, journaled=True, **facts["decision"]))
        aip = facts.pop("aip")
        if not all(isinstance(value, str) for value in (aip, *facts.values())):
            raise TypeError("a member is no text")
        return JournalRecord(aip=aip, event=_with_payload(EventRow(**facts)))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        return JournalRecord(problem=f"a line cannot be read: {error!r}"[:300])
