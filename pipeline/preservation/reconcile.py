"""Catalogue and storage compared in both directions, and what was left behind swept away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pipeline.ingest import Archive
from storage.catalogue import CopyRow
from storage.copies import ArchivalStore, CopyState
from storage.ocfl.scan import FoundObject, scan_objects
from storage.protocol import HasLeftovers

__all__ = ["Difference", "DifferenceKind", "reconcile", "sweep"]


class DifferenceKind(StrEnum):
    """How catalogue and storage can disagree."""

    NOT_IN_STORE = "not in store"  # the catalogue promises a copy, the store has none
    NOT_IN_CATALOGUE = "not in catalogue"  # the store has an object nobody knows of
    NOT_COMMITTED = "not committed"  # what an interrupted write left; “stele store sweep” removes it
    LEFT_OVER = "left over"  # an upload that was never finished, or a dead probe's scratch


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement. ``subject`` is an AIP or an object root."""

    kind: DifferenceKind
    store: str
    subject: str
    objects: int
    bytes: int


def reconcile(archive: Archive) -> Iterator[Difference]:
    """Every disagreement, store by store; missing copies are recorded as such."""
    for store in archive.stores:
        roots: set[str] = set()
        for found in scan_objects(store.repository.store):
            roots.add(found.root)
            if not found.committed:
                yield _difference(DifferenceKind.NOT_COMMITTED, store, found)
        yield from _promised(archive, store, roots)
        for root in sorted(roots):
            committed = store.repository.holds_root(root)
            if committed:
                yield Difference(DifferenceKind.NOT_IN_CATALOGUE, store.name, root, 0, 0)


def _promised(archive: Archive, store: ArchivalStore, roots: set[str]) -> Iterator[Difference]:
    """Strike what the catalogue knows from ``roots``; report what it knows and the store lacks."""
    layout = store.repository.layout
    for aip in archive.catalogue.aips():
        root = layout.object_root(aip.id)
        copy = archive.catalogue.copy(aip.id, store.name)
        owed = copy is None or copy.state == CopyState.OWED
        if root in roots:
            roots.discard(root)
        elif not owed:
            detail = "found missing when catalogue and storage were compared"
            archive.catalogue.set_copy(
                CopyRow(aip.id, store.name, aip.version, "", str(CopyState.MISSING), detail)
            )
            yield Difference(DifferenceKind.NOT_IN_STORE, store.name, aip.id, aip.files, aip.bytes)


def sweep(archive: Archive, older_than: timedelta, *, remove: bool) -> Iterator[Difference]:
    """What interrupted writes left, untouched for ``older_than``; removed only when asked.

    The age protects a write that is going on this moment. A committed object is never touched.
    """
    limit = archive.clock() - older_than
    for store in archive.stores:
        target, layout = store.repository.store, store.repository.layout
        known = {layout.object_root(aip.id) for aip in archive.catalogue.aips()}
        for found in scan_objects(target):
            if found.committed or found.newest > limit or found.root in known:
                continue
            if store.repository.vouched(found.root):
                continue  # it lost its root inventory and nothing else; “audit” and “repair” mend it
            yield _difference(DifferenceKind.NOT_COMMITTED, store, found)
            if remove and not store.repository.holds_root(found.root):
                for key in found.keys:
                    target.delete(key)
        if isinstance(target, HasLeftovers):
            for entry in target.leftovers(limit, remove=remove):
                yield Difference(DifferenceKind.LEFT_OVER, store.name, entry.key, 1, entry.size)


def _difference(kind: DifferenceKind, store: ArchivalStore, found: FoundObject) -> Difference:
    return Difference(kind, store.name, found.root, len(found.keys), found.bytes)
