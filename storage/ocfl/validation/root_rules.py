"""The rules for a storage root (OCFL 1.1 §4): declaration, layout, extensions, what lies between."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from packages.problem import Problem
from storage.ocfl.validation.inventory_rules import parse_json
from storage.ocfl.validation.object_rules import REGISTERED_EXTENSIONS
from storage.ocfl.validation.verdict import finding
from storage.protocol import ListsFolders, ObjectStore, read_all

__all__ = ["RootVerdict", "object_roots", "validate_root"]

_DECLARATION = re.compile(r"0=ocfl_(1\.[01])")
_OBJECT = re.compile(r"0=ocfl_object_(1\.[01])")
_TEXTS = re.compile(
    r"ocfl_(spec_)?1\.[01]\.(txt|md|html)|ocfl_extensions_1\.0\.md|README(\.\w+)?", re.IGNORECASE
)


@dataclass(slots=True)
class RootVerdict:
    """What was found about the root itself, and where its objects are."""

    spec: str = ""
    objects: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def report(self, code: str, found: str) -> None:
        """Add a finding."""
        problem = finding(code, "storage root", found)
        if problem not in self.problems:
            self.problems.append(problem)


def object_roots(store: ObjectStore) -> dict[str, str]:
    """Where objects declare themselves, each with the OCFL version it declares."""
    found = {}
    for key in store.list(""):
        folder, _, name = key.rpartition("/")
        match = _OBJECT.fullmatch(name)
        if match:
            found[folder] = match.group(1)
    return found


def validate_root(store: ObjectStore) -> RootVerdict:
    """Judge the root and the space between its objects; the objects are judged one by one elsewhere."""
    verdict = RootVerdict()
    keys = list(store.list(""))
    objects = object_roots(store)
    verdict.objects = sorted(objects)
    _declaration(store, keys, verdict)
    _layout(store, keys, verdict)
    _objects(objects, verdict)
    _between(keys, objects, verdict)
    _extensions(keys, verdict)
    if isinstance(store, ListsFolders):
        for folder in store.empty_folders(""):
            if not _inside(folder, objects) and folder.split("/")[0] != "extensions":
                verdict.report("E073", f"the folder {folder} is empty")
    return verdict


def _declaration(store: ObjectStore, keys: list[str], verdict: RootVerdict) -> None:
    declared = [key for key in keys if key.startswith("0=") and "/" not in key]
    if len(declared) != 1:
        verdict.report("E069", f"{len(declared) or 'no'} conformance declaration(s) (0=ocfl_…)")
    for key in declared:
        match = _DECLARATION.fullmatch(key)
        if match is None:
            verdict.report("E076", f"{key} is no declaration of a storage root we know")
            continue
        verdict.spec = match.group(1)
        if read_all(store, key, limit=1 << 16) != f"{key.removeprefix('0=')}\n".encode():
            verdict.report("E080", f"{key} does not contain its own name and a newline")


def _layout(store: ObjectStore, keys: list[str], verdict: RootVerdict) -> None:
    if "ocfl_layout.json" not in keys:
        return
    raw = read_all(store, "ocfl_layout.json", limit=1 << 20)
    layout = parse_json(raw, "ocfl_layout.json", lambda _code, found: verdict.report("E070", found))
    for name in ("extension", "description"):
        if layout is not None and not isinstance(layout.get(name), str):
            verdict.report("E070", f"ocfl_layout.json has no {name}")


def _objects(objects: dict[str, str], verdict: RootVerdict) -> None:
    for folder, spec in objects.items():
        if verdict.spec and spec > verdict.spec:
            verdict.report("E081", f"{folder} is of OCFL {spec}, the root of {verdict.spec}")
        parent = folder.rpartition("/")[0]
        while parent:
            if parent in objects:
                verdict.report("E072", f"the object {folder} lies inside the object {parent}")
                break
            parent = parent.rpartition("/")[0]


def _between(keys: list[str], objects: dict[str, str], verdict: RootVerdict) -> None:
    for key in keys:
        folder, _, name = key.rpartition("/")
        if not folder:
            if not name.startswith("0=") and name != "ocfl_layout.json" and not _TEXTS.fullmatch(name):
                verdict.report("E087", f"unexpected file {name} in the storage root")
        elif key.split("/")[0] != "extensions" and not _inside(folder, objects):
            verdict.report("E072", f"{key} belongs to no object")


def _extensions(keys: list[str], verdict: RootVerdict) -> None:
    for key in keys:
        parts = key.split("/")
        if parts[0] != "extensions":
            continue
        if len(parts) == 2:
            verdict.report("E112", f"the file {key} is in no extension's folder")
        elif parts[1] not in REGISTERED_EXTENSIONS:
            verdict.report("W016", f"extension {parts[1]} is not registered")


def _inside(folder: str, objects: dict[str, str]) -> bool:
    while folder:
        if folder in objects:
            return True
        folder = folder.rpartition("/")[0]
    return False
