"""The folders between a storage root and its objects (§4.1, §4.3): found and judged in a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from storage.ocfl.inventory import INVENTORY
from storage.ocfl.validation.folder import Folder, is_key
from storage.ocfl.validation.verdict import RootVerdict
from storage.ocfl.validation.versions import version_number
from storage.protocol import ObjectStore

_MARKER = "0=ocfl_object_"
_OWN_FOLDERS = ("extensions", "logs")


@dataclass(frozen=True, slots=True)
class Objects:
    """Where the object roots are; memory grows with their number, not with that of files."""

    roots: tuple[str, ...]
    nested: tuple[str, ...]
    """Object roots inside other objects, other than as content of theirs."""


def find_objects(store: ObjectStore) -> Objects:
    """The outermost object roots, in order.

    A folder with an inventory and no declaration counts where no declared object is above or
    below it: it is an object that lost its declaration, and is judged as one.
    """
    declared, inventories = set(), set()
    for key in store.list(""):
        folder, _, name = key.rpartition("/")
        if not is_key(key) or not folder or folder.partition("/")[0] == "extensions":
            continue
        if name.startswith(_MARKER):
            declared.add(folder)
        elif name == INVENTORY:
            inventories.add(folder)
    roots = {folder for folder in declared if not _owner(folder, declared)}
    above = {parent for folder in roots for parent in _parents(folder)}
    lost = {f for f in inventories - above - roots if not _owner(f, roots)}
    roots |= {folder for folder in lost if not _owner(folder, lost)}
    nested = sorted(folder for folder in declared - roots if _is_nested(folder, _owner(folder, roots)))
    return Objects(tuple(sorted(roots)), tuple(nested))


def _is_nested(folder: str, owner: str) -> bool:
    """An OCFL object among the content of another is content, and nobody's concern."""
    first = folder[len(owner) + 1 :].partition("/")[0]
    return version_number(first) is None and first not in _OWN_FOLDERS


def _owner(path: str, folders: set[str] | frozenset[str]) -> str:
    """The outermost of ``folders`` above ``path``; empty when there is none."""
    return next((parent for parent in _parents(path) if parent in folders), "")


def _parents(path: str) -> Iterator[str]:
    """The folders above a path, outermost first."""
    end = path.find("/")
    while end > 0:
        yield path[:end]
        end = path.find("/", end + 1)


def check_hierarchy(keys: Iterable[str], objects: Objects, verdict: RootVerdict) -> None:
    """No file outside of objects, no branch without an object, no object inside an object."""
    for inner in objects.nested:
        verdict.report("E082", "an object inside another object", at=inner)
    roots = frozenset(objects.roots)
    between = {parent for root in roots for parent in _parents(root)}
    dead_ends: set[str] = set()
    for key in keys:
        if "/" not in key or key.startswith("extensions/") or _owner(key, roots):
            continue
        verdict.report("E072", "a file that belongs to no object", at=key)
        if key.rpartition("/")[0] in between:
            verdict.report("E084", "a file in a folder on the way to objects", at=key)
        else:
            dead_ends.update([parent for parent in _parents(key) if parent not in between][:1])
    for folder in sorted(dead_ends):
        verdict.report("E088" if "/" not in folder else "E085", "no object is below this folder", at=folder)


def check_oddities(folder: Folder, objects: Objects, verdict: RootVerdict) -> None:
    """Empty folders and links outside of objects; inside they are the objects' own concern."""
    roots = frozenset(objects.roots)
    for key in sorted(folder.empty):
        if key and key not in roots and not _owner(key, roots):
            verdict.report("E073", "an empty folder", at=key)
    for key in sorted(folder.links):
        if not _owner(key, roots):
            verdict.report("E090", "is a link, pipe or device, not a file or folder", at=key)
