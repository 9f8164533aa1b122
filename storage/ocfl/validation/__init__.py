"""Judging OCFL objects and storage roots, ours and foreign ones, by all rules of OCFL 1.0 and 1.1.

The rules are in one module per subject; this one is the list of them, in order. What a folder,
a file or a JSON value is does not matter: every input ends in a verdict, none in an exception,
except that a store which cannot be listed raises StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Iterator

from storage.errors import ObjectMissing
from storage.ocfl.inventory import INVENTORY
from storage.ocfl.validation.content import Claims, check_content, check_unlisted
from storage.ocfl.validation.declaration import OBJECT, ROOT, check_declaration, declared_spec
from storage.ocfl.validation.earlier import read_earlier
from storage.ocfl.validation.folder import Folder, look_around, look_into
from storage.ocfl.validation.hierarchy import check_hierarchy, check_oddities, find_objects
from storage.ocfl.validation.inventory import read_inventory
from storage.ocfl.validation.reading import Reading
from storage.ocfl.validation.sidecar import check_sidecar
from storage.ocfl.validation.storage_root import (
    Place,
    Placement,
    check_storage_root,
    read_root_layout,
    what_is_at,
)
from storage.ocfl.validation.structure import (
    check_content_paths,
    check_no_links,
    check_object_root,
    check_version_folders,
)
from storage.ocfl.validation.verdict import ObjectVerdict, RootVerdict
from storage.protocol import ObjectStore

__all__ = [
    "ObjectVerdict",
    "Place",
    "RootVerdict",
    "neither",
    "validate_object",
    "validate_root",
    "what_is_at",
]


def validate_object(store: ObjectStore, root: str) -> ObjectVerdict:
    """Read every byte of the object below ``root`` (``""`` = the whole store) and judge it."""
    folder = look_into(store, root)
    declared = declared_spec(folder.top_files(), OBJECT)
    verdict = ObjectVerdict(root, declared or "1.1", declared=declared)
    check_no_links(folder, verdict)
    check_declaration(folder, verdict, OBJECT)
    raw, reading = _root_inventory(folder, verdict)
    check_object_root(folder, reading, verdict)
    if reading is None:
        return verdict
    check_content_paths(folder, reading, verdict)
    check_version_folders(folder, reading, verdict)
    claims = Claims()
    claims.add(reading)
    for earlier in read_earlier(folder, reading, raw, verdict):
        claims.add(earlier)
    check_unlisted(folder, reading, verdict)
    check_content(folder, claims, reading.algorithm, verdict)
    return verdict


def _root_inventory(folder: Folder, verdict: ObjectVerdict) -> tuple[bytes, Reading | None]:
    try:
        raw = folder.read(INVENTORY)
    except ObjectMissing:
        verdict.report("E063", f"no {INVENTORY} in the object root")
        return b"", None
    reading = read_inventory(raw, "", verdict)
    check_sidecar(folder, "", raw, reading.algorithm if reading else "", verdict)
    if reading is not None:
        verdict.reading, verdict.object_id, verdict.head = reading, reading.object_id, reading.head
        if reading.spec and verdict.declared and reading.spec != verdict.declared:
            found = f"type is that of OCFL {reading.spec}, the object declares {verdict.declared}"
            verdict.report("E038", found, at=INVENTORY)
    return raw, reading


def validate_root(store: ObjectStore) -> Iterator[ObjectVerdict | RootVerdict]:
    """Judge a whole storage root: every object, one after the other, and at the end the root."""
    folder = look_around(store)
    verdict = RootVerdict("", declared_spec(folder.top_files(), ROOT) or "1.1")
    check_storage_root(folder, verdict)
    placement = Placement(read_root_layout(folder, verdict), verdict)
    objects = find_objects(store)
    check_hierarchy(store.list(""), objects, verdict)
    check_oddities(folder, objects, verdict)
    for root in objects.roots:
        judged = validate_object(store, root)
        placement.judge(judged)
        yield judged
    placement.close()
    yield verdict


def neither(root: str = "") -> RootVerdict:
    """The verdict on a place where nothing of OCFL was found."""
    verdict = RootVerdict(root)
    verdict.report("E003", "no conformance declaration of an object (0=ocfl_object_1.1)")
    verdict.report("E063", f"no {INVENTORY} of an object")
    verdict.report("E069", "no conformance declaration of a storage root (0=ocfl_1.1)")
    return verdict
