"""Damage made good from a copy whose bytes are right, object by object."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packages.digest import PREFERRED
from packages.package_file import timestamp
from packages.premis import EventOutcome, EventType
from pipeline.archive import Archive
from pipeline.holdings.events import event
from pipeline.holdings.presence import require_present
from pipeline.holdings.protection import protection_of
from pipeline.holdings.quarantine import Quarantine, QuarantineFailed
from pipeline.preservation.replicate import replicate_leased
from storage.catalogue import AipRow, CopyRow
from storage.copying import copy_hashed
from storage.errors import LeaseLost, StorageError
from storage.ocfl.inventory import INVENTORY
from storage.protocol import Protection, Upload
from storage.replicas.fixity import (
    CopyAudit,
    Expected,
    Finding,
    FindingKind,
    TrustedInventory,
    audit_copy,
    wrong_objects,
)
from storage.replicas.store import ArchivalStore
from storage.scratch import scratch_folder
from storage.states import CopyState

__all__ = ["Repaired", "repair_copy"]

_MAX_LISTED_KEYS = 1000
_MAX_NOTED_KEYS = 50


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair achieved. ``repaired`` and ``unrepaired`` name the first keys of each kind, the
    counts are of all; ``reasons`` say why some could not be repaired."""

    aip: str
    store: str
    state: CopyState
    repaired: tuple[str, ...] = ()
    unrepaired: tuple[str, ...] = ()
    quarantine: str = ""
    repaired_count: int = 0
    unrepaired_count: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tally:
    repaired: list[str] = field(default_factory=list)
    unrepaired: list[str] = field(default_factory=list)
    repaired_count: int = 0
    unrepaired_count: int = 0
    reasons: list[str] = field(default_factory=list)

    def count(self, key: str, reason: str | None) -> None:
        """One object; ``reason`` is why it was not repaired."""
        done = reason is None
        self.repaired_count, self.unrepaired_count = (
            self.repaired_count + done,
            self.unrepaired_count + (not done),
        )
        keys = self.repaired if done else self.unrepaired
        if len(keys) < _MAX_LISTED_KEYS:
            keys.append(key)
        if reason and reason not in self.reasons and len(self.reasons) < 10:
            self.reasons.append(reason)


def repair_copy(
    archive: Archive,
    row: AipRow,
    audit: CopyAudit,
    target: ArchivalStore,
    trusted: TrustedInventory | None,
    quarantine: Path,
    begun: str = "",
) -> Repaired:
    """Replace what the audit found wrong, then read the whole copy again. Runs under the AIP's lease.

    Nothing good is ever written over: an object is replaced only by bytes with its recorded digest,
    taken from another store or known from the inventory, and only once what was there before is kept
    in quarantine. What belongs to a version that is ``begun`` here stays as it is. Raises StoreUnavailable
    when the damaged store itself cannot be written.
    """
    require_present(target, archive.catalogue)
    if audit.state is CopyState.MISSING:
        return _replicated(archive, row, target)
    if trusted is None:
        keys = tuple(finding.key for finding in audit.findings)[:_MAX_LISTED_KEYS]
        return _recorded(
            archive, row, Repaired(row.id, target.name, CopyState.DAMAGED, (), keys, "", 0, audit.wrong)
        )
    versions = archive.catalogue.versions.digests(row.id)
    expected = Expected(trusted, versions, begun)
    moment = timestamp(archive.clock()).replace(":", "")
    kept = Quarantine(quarantine / moment / target.name / row.id.replace(":", "-"))
    sources = [one for one in archive.stores if one is not target]
    protection = protection_of(archive.catalogue, row)
    repairer = _ObjectRepairer(target, sources, expected, row.id, kept, archive.work, protection)
    tally = _Tally()
    commits = [finding for finding in audit.findings if finding.key == INVENTORY]
    for finding in _findings(audit, target, row.id, expected):
        if finding.key != INVENTORY and not (commits and finding.kind is FindingKind.UNEXPECTED):
            tally.count(finding.key, repairer.repair(finding))
    # What the root inventory names must be there when a reader sees it: it is written after what is
    # missing, and before what only the inventory that it replaces has named is taken away.
    for finding in commits:
        tally.count(finding.key, repairer.repair(finding))
    for finding in _findings(audit, target, row.id, expected) if commits else ():
        if finding.kind is FindingKind.UNEXPECTED:
            tally.count(finding.key, repairer.repair(finding))
    again = audit_copy(target.repository, row.id, trusted, versions, begun)
    return _recorded(
        archive,
        row,
        Repaired(
            row.id, target.name, again.state, tuple(tally.repaired), tuple(tally.unrepaired),
            str(kept.folder) if kept.used else "", tally.repaired_count, tally.unrepaired_count,
            tuple(tally.reasons),
        ),
    )  # fmt: skip


def _findings(audit: CopyAudit, target: ArchivalStore, aip: str, expected: Expected) -> Iterable[Finding]:
    """What the audit found; where it is too much to be kept, it is found again, one by one."""
    if audit.wrong <= len(audit.findings):
        return audit.findings
    return wrong_objects(target.repository, aip, expected)


def _replicated(archive: Archive, row: AipRow, target: ArchivalStore) -> Repaired:
    made = replicate_leased(archive, row, target)
    known = archive.catalogue.copies.get(row.id, target.name)
    state = CopyState(known.state) if known else CopyState.MISSING  # as replication has just seen it
    reasons = (made.reason,) if made.reason else ()
    every = ("everything",)
    done, left = (every, ()) if made.made else ((), every)
    counts = (int(made.made), int(not made.made))
    return _recorded(archive, row, Repaired(row.id, target.name, state, done, left, "", *counts, reasons))


class _ObjectRepairer:
    """Repairs single objects of one copy."""

    def __init__(
        self,
        target: ArchivalStore,
        sources: Sequence[ArchivalStore],
        expected: Expected,
        aip: str,
        quarantine: Quarantine,
        scratch: Path,
        protection: Protection,
    ) -> None:
        self._repository = target.repository
        self._root = target.repository.layout.object_root(aip)
        self._sources = sources
        self._expected = expected
        self._aip = aip
        self._quarantine = quarantine
        self._scratch = scratch
        self._protection = protection

    def repair(self, finding: Finding) -> str | None:
        """Make one object right; None when it is, else the reason. What was there is kept first."""
        try:
            return self._repair(finding)
        except QuarantineFailed as error:  # evidence that is not kept is not replaced
            return str(error)

    def _repair(self, finding: Finding) -> str | None:
        key = f"{self._root}/{finding.key}"
        if finding.kind is FindingKind.UNEXPECTED:
            self._keep(finding)
            self._repository.writer.delete(key)
            return None
        content = self._expected.known(finding.key)
        if content is not None:
            self._replace(finding, Upload.of(key, content))
            return None
        if self._expected.is_head_inventory(finding.key):
            trusted = self._expected.trusted
            with self._repository.spooled(trusted.repository.store, trusted.key) as upload:
                if upload.sha512 != finding.expected:
                    return f"{finding.key}: its source reads differently now"
                self._replace(finding, replace(upload, key=key))
                return None
        with scratch_folder(self._scratch) as folder:
            good = folder / "object"
            size = self._fetch(finding.key, finding.expected, good)
            if size is None:
                return "no store has good bytes of it"
            self._replace(finding, Upload(key, size, finding.expected, path=good))
        return None

    def _keep(self, finding: Finding) -> None:
        self._quarantine.keep(self._repository.store, f"{self._root}/{finding.key}", finding.key)

    def _replace(self, finding: Finding, upload: Upload) -> None:
        self._keep(finding)
        self._repository.writer.replace(upload, self._protection, commit=True)

    def _fetch(self, key: str, sha512: str, to: Path) -> int | None:
        """Good bytes from the first store that has them."""
        for source in self._sources:
            place = f"{source.repository.layout.object_root(self._aip)}/{key}"
            descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                with source.repository.store.open(place) as stream:
                    copied = copy_hashed(stream.readinto, descriptor, (PREFERRED,))  # type: ignore[attr-defined]
            except LeaseLost:
                raise
            except (StorageError, OSError):
                continue  # this store does not give it; nothing has been changed yet
            finally:
                os.close(descriptor)
            if copied.digests[PREFERRED] == sha512:
                return copied.size
        return None


def _recorded(archive: Archive, row: AipRow, repaired: Repaired) -> Repaired:
    intact = repaired.state is CopyState.VERIFIED
    ended = (
        intact or repaired.state is CopyState.UNVERIFIED
    )  # as much as can be done beside a begun version
    when = archive.clock()
    now = timestamp(when)
    detail = "" if intact else f"{repaired.unrepaired_count} object(s) could not be repaired"
    if repaired.state is CopyState.UNVERIFIED:
        detail = "repaired; the version that is begun here is not registered yet"
    note = f"repaired: {_keys(repaired.repaired, repaired.repaired_count)}"
    if repaired.unrepaired_count:
        note += f"; not repaired: {_keys(repaired.unrepaired, repaired.unrepaired_count)}"
        note += f" ({'; '.join(repaired.reasons)})" if repaired.reasons else ""
    note += f"; what was replaced is kept in {repaired.quarantine}" if repaired.quarantine else ""
    archive.catalogue.copies.put(
        CopyRow(
            row.id, repaired.store, row.version, now if intact else "", str(repaired.state), detail, now
        ),
        [
            event(
                EventType.RECOVERY, when, store=repaired.store,
                detail=f"{row.version}: {repaired.repaired_count} object(s) replaced by verified bytes, "
                "the copy read again",
                note=note, outcome=EventOutcome.SUCCESS if ended else EventOutcome.FAILURE,
            )
        ],
    )  # fmt: skip
    return repaired


def _keys(keys: Sequence[str], count: int) -> str:
    shown = ", ".join(keys[:_MAX_NOTED_KEYS])
    more = count - min(len(keys), _MAX_NOTED_KEYS)
    return (f"{shown} and {more} more" if more > 0 else shown) or "nothing"
