"""Rules of the storage root itself (§4.1, §4.2, §4.4) and of the layout it declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from storage.errors import ObjectMissing
from storage.ocfl.inventory import INVENTORY
from storage.ocfl.layout import Layout, LayoutInvalid, read_layout
from storage.ocfl.validation.declaration import KNOWN_SPECS, ROOT, check_declaration
from storage.ocfl.validation.extensions import REGISTERED, check_extensions
from storage.ocfl.validation.folder import Folder
from storage.ocfl.validation.hierarchy import find_objects
from storage.ocfl.validation.reading import parse_json, shown
from storage.ocfl.validation.verdict import ObjectVerdict, RootVerdict
from storage.protocol import ObjectStore

LAYOUT = "ocfl_layout.json"
_LIMIT = 1 << 20


class Place(Enum):
    """What a folder claims to be."""

    OBJECT = "object"
    ROOT = "storage root"
    NEITHER = "neither"


def what_is_at(store: ObjectStore) -> Place:
    """Whether the store as a whole is one object, a storage root, or nothing of OCFL."""
    # Probes first: listing a large storage root costs minutes.
    if any(store.size(f"0=ocfl_object_{spec}") is not None for spec in KNOWN_SPECS):
        return Place.OBJECT
    if any(store.size(f"0=ocfl_{spec}") is not None for spec in KNOWN_SPECS):
        return Place.ROOT
    if store.size(INVENTORY) is not None:
        return Place.OBJECT
    if store.size(LAYOUT) is not None:
        return Place.ROOT
    for key in store.list("0="):
        if "/" not in key and key.startswith("0=ocfl_"):
            return Place.OBJECT if key.startswith("0=ocfl_object_") else Place.ROOT
    return Place.ROOT if find_objects(store).roots else Place.NEITHER


@dataclass(slots=True)
class Placement:
    """Judges where objects are while they are read one after the other (§4.3)."""

    layout: Layout | None
    root: RootVerdict
    _ids: dict[str, str] = field(default_factory=dict)
    _well: int = 0
    _badly: int = 0
    _depths: set[bool] = field(default_factory=set)

    def judge(self, verdict: ObjectVerdict) -> None:
        """Add to an object's verdict what its storage root has to say."""
        self.root.objects += 1
        self._depths.add("/" in verdict.root)
        if verdict.declared and verdict.declared > self.root.spec:
            found = f"an object of OCFL {verdict.declared} in a storage root of OCFL {self.root.spec}"
            verdict.report("E081", found)
        if not verdict.object_id:
            return
        before = self._ids.setdefault(verdict.object_id, verdict.root)
        if before != verdict.root:
            verdict.report("E037", f"id {shown(verdict.object_id)} is also that of {before}")
        if self.layout is not None:
            self._judge_place(self.layout, verdict)

    def _judge_place(self, layout: Layout, verdict: ObjectVerdict) -> None:
        try:
            wanted = layout.object_root(verdict.object_id)
        except ValueError as error:
            verdict.report("E083", f"the layout has no place for {shown(verdict.object_id)}: {error}")
            return
        if wanted == verdict.root:
            self._well += 1
            return
        self._badly += 1
        verdict.report("E083", f"by the layout of the storage root its place is {shown(wanted)}")

    def close(self) -> None:
        """Say what only all objects together show."""
        if self._well and self._badly:
            found = f"{self._badly} of {self._well + self._badly} objects are not where the layout says"
            self.root.report("W014", found)
        if len(self._depths) > 1:
            self.root.report("W015", "some objects are directly in the storage root, some deeper")


def check_storage_root(folder: Folder, verdict: RootVerdict) -> None:
    """What lies directly in the root; files it does not know are left alone (E087)."""
    check_declaration(folder, verdict, ROOT)
    check_extensions(folder, verdict, file_code="E112", name_code="W016")


def read_root_layout(folder: Folder, verdict: RootVerdict) -> Layout | None:
    """The layout that ``ocfl_layout.json`` declares; None without one, or for one we do not know."""
    if LAYOUT not in folder.keys:
        return None
    document = _json_object(folder, LAYOUT, "E070", verdict)
    if document is None:
        return None
    for key in ("extension", "description"):
        if key not in document:
            verdict.report("E070", f"has no “{key}”", at=LAYOUT)
        elif not isinstance(document[key], str):
            verdict.report("E070", f"{key} is {shown(document[key])}", at=LAYOUT)
    name = document.get("extension")
    if not isinstance(name, str):
        return None
    _check_name(name, verdict)
    config = f"extensions/{name}/config.json"
    parameters: Mapping[str, Any] | None = {}
    if config in folder.keys:
        parameters = _json_object(folder, config, "E083", verdict)
    if parameters is None:
        return None
    try:
        return read_layout(name, parameters)
    except LayoutInvalid as error:
        verdict.report("E083", f"no mapping follows from the layout's parameters: {error}", at=config)
        return None


def _check_name(name: str, verdict: RootVerdict) -> None:
    if name in REGISTERED:
        return
    number = re.match(r"\d{4}-", name)
    if number and any(known.startswith(number.group()) for known in REGISTERED):
        verdict.report("E071", f"{shown(name)} is no registered extension", at=LAYOUT)
    else:  # the register grows, and local extensions are allowed
        verdict.note("E071", f"layout {shown(name)} is unknown here; places were not checked", at=LAYOUT)


def _json_object(folder: Folder, key: str, code: str, verdict: RootVerdict) -> Mapping[str, Any] | None:
    try:
        raw = folder.read(key, limit=_LIMIT + 1)
        if len(raw) > _LIMIT:
            raise ValueError("too large")
        document = parse_json(raw)
    except ObjectMissing:
        return None
    except ValueError as error:
        verdict.report(code, f"is not JSON in UTF-8: {error}", at=key)
        return None
    if not isinstance(document, dict):
        verdict.report(code, f"is {shown(document)}, not a JSON object", at=key)
        return None
    return document
