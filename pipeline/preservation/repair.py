"""Damage made good from a copy whose bytes are right, object by object."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from packages.digest import PREFERRED
from packages.package_file import timestamp
from packages.premis import EventOutcome, EventType
from pipeline.ingest import Archive
from pipeline.presence import require_present
from pipeline.preservation.events import event
from pipeline.preservation.replicate import replicate_one
from pipeline.protection import protection_of
from storage.catalogue import CopyRow
from storage.copies import ArchivalStore, CopyState
from storage.copying import copy_hashed
from storage.errors import ObjectMissing, StorageError
from storage.fixity import (
    CopyAudit,
    Expected,
    Finding,
    FindingKind,
    audit_copy,
    expected_objects,
    trusted_inventory,
)
from storage.protocol import Protection, Upload
from storage.scratch import scratch_folder

__all__ = ["Repaired", "repair_copy"]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair achieved; ``left`` are keys for which no good bytes were found."""

    aip: str
    store: str
    state: CopyState
    mended: tuple[str, ...]
    left: tuple[str, ...]
    aside: str


def repair_copy(archive: Archive, audit: CopyAudit, target: ArchivalStore, aside: Path) -> Repaired:
    """Replace what the audit found wrong, then read the whole copy again.

    Nothing good is ever written over: an object is replaced only by bytes with its recorded digest,
    taken from another store or known from the inventory, and what was there before is kept below
    ``aside``. Raises StoreUnavailable when the damaged store itself cannot be written.
    """
    aip = audit.object_id
    require_present(target, archive.catalogue)
    if audit.state is CopyState.MISSING:
        made = replicate_one(archive, aip, target)
        state = CopyState.VERIFIED if made.made else CopyState.MISSING
        done = ("everything",) if made.made else ()
        return _recorded(
            archive, Repaired(aip, target.name, state, done, () if made.made else ("everything",), "")
        )
    row = archive.catalogue.aip(aip)
    assert row is not None, "an audit is of what the catalogue knows"
    repositories = [one.repository for one in archive.stores]
    trusted = trusted_inventory(repositories, aip, row.inventory_sha512)
    if trusted is None:
        left = tuple(finding.key for finding in audit.findings)
        return _recorded(archive, Repaired(aip, target.name, CopyState.DAMAGED, (), left, ""))
    versions = archive.catalogue.version_digests(aip)
    expected = expected_objects(*trusted, versions)
    sources = [one for one in archive.stores if one is not target]
    kept = aside / timestamp(archive.clock()).replace(":", "") / target.name / aip.replace(":", "-")
    protection = protection_of(archive.catalogue, row)
    mender = _Mender(target, sources, expected, aip, kept, archive.work, protection)
    mended = [finding.key for finding in audit.findings if mender.mend(finding)]
    left = tuple(finding.key for finding in audit.findings if finding.key not in mended)
    again = audit_copy(target.repository, aip, trusted, versions)
    shown = str(kept) if kept.exists() else ""
    return _recorded(archive, Repaired(aip, target.name, again.state, tuple(mended), left, shown))


class _Mender:
    """Mends single objects of one copy."""

    def __init__(
        self,
        target: ArchivalStore,
        sources: Sequence[ArchivalStore],
        expected: Expected,
        aip: str,
        aside: Path,
        scratch: Path,
        protection: Protection,
    ) -> None:
        self._scratch = scratch
        self._protection = protection
        self._repository = target.repository
        self._store = target.repository.store
        self._root = target.repository.layout.object_root(aip)
        self._sources = sources
        self._expected = expected
        self._aip = aip
        self._aside = aside

    def mend(self, finding: Finding) -> bool:
        """Whether the object is right now. What was there before is kept first."""
        key = f"{self._root}/{finding.key}"
        if finding.kind is FindingKind.UNEXPECTED:
            self._keep_aside(finding.key)
            self._store.delete(key)
            return True
        content = self._expected.known.get(finding.key)
        if content is not None:
            self._keep_aside(finding.key)
            self._replace(Upload.of(key, content))
            return True
        with scratch_folder(self._scratch) as folder:
            good = folder / "object"
            size = self._fetch(finding.key, finding.expected, good)
            if size is None:
                return False
            self._keep_aside(finding.key)
            self._replace(Upload(key, size, finding.expected, path=good))
        return True

    def _replace(self, upload: Upload) -> None:
        self._store.replace(self._repository.locked(upload, self._protection))

    def _fetch(self, key: str, sha512: str, to: Path) -> int | None:
        """Good bytes from the first store that has them."""
        for source in self._sources:
            place = f"{source.repository.layout.object_root(self._aip)}/{key}"
            descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                with source.repository.store.open(place) as stream:
                    copied = copy_hashed(stream.readinto, descriptor, (PREFERRED,))  # type: ignore[attr-defined]
            except (StorageError, OSError):
                continue
            finally:
                os.close(descriptor)
            if copied.digests[PREFERRED] == sha512:
                return copied.size
        return None

    def _keep_aside(self, key: str) -> None:
        """Put the bad bytes where a person can look at them; what cannot be read is not there to keep."""
        place = self._aside / key
        place.parent.mkdir(parents=True, exist_ok=True)
        bad = self._store.open(f"{self._root}/{key}")
        with suppress(ObjectMissing, OSError), bad as stream, place.open("wb") as sink:
            shutil.copyfileobj(stream, sink, 1 << 20)


def _recorded(archive: Archive, repaired: Repaired) -> Repaired:
    whole = repaired.state is CopyState.VERIFIED
    row = archive.catalogue.aip(repaired.aip)
    version = row.version if row else ""
    verified = timestamp(archive.clock()) if whole else ""
    detail = "" if whole else f"{len(repaired.left)} object(s) have no good copy anywhere"
    archive.catalogue.set_copy(
        CopyRow(repaired.aip, repaired.store, version, verified, str(repaired.state), detail)
    )
    note = f"mended: {', '.join(repaired.mended) or 'nothing'}"
    note += f"; not mended: {', '.join(repaired.left)}" if repaired.left else ""
    note += f"; the bad bytes are in {repaired.aside}" if repaired.aside else ""
    archive.catalogue.add_events(
        repaired.aip,
        [
            event(
                EventType.RECOVERY, archive.clock(), store=repaired.store,
                detail=f"{len(repaired.mended)} object(s) replaced by verified bytes, the copy read again",
                note=note, outcome=EventOutcome.SUCCESS if whole else EventOutcome.FAILURE,
            )
        ],
    )  # fmt: skip
    return repaired
