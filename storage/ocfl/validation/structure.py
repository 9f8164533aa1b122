"""What lies in an object root and in its version folders (§3.1, §3.3, §3.8), against the inventory."""

from __future__ import annotations

import re

from storage.ocfl.inventory import INVENTORY
from storage.ocfl.validation.declaration import is_declaration
from storage.ocfl.validation.extensions import check_extensions
from storage.ocfl.validation.folder import Folder
from storage.ocfl.validation.reading import Reading, shown
from storage.ocfl.validation.verdict import Verdict
from storage.ocfl.validation.versions import version_number

_NOT_A_VERSION = ("extensions", "logs")


def check_no_links(folder: Folder, verdict: Verdict) -> None:
    """Links and devices are reported, never followed (§4.6)."""
    for key in sorted(folder.links):
        verdict.report("E090", "is a link, pipe or device, not a file or folder", at=key)
    for key in sorted(folder.no_keys):
        verdict.report("E001", "is no path of plain names", at=key)


def check_object_root(folder: Folder, reading: Reading | None, verdict: Verdict) -> None:
    """Declaration, inventory and sidecar; version folders, extensions, logs; nothing else."""
    allowed = {INVENTORY, _sidecar(folder, reading, "")}
    for name in folder.top_files():
        if name in allowed or is_declaration(name):
            continue
        if name.lower() == INVENTORY and INVENTORY not in folder.keys:
            verdict.report("E034", f"an inventory is called {INVENTORY}", at=name)
        verdict.report("E001", "unexpected file in the object root", at=name)
    versions = reading.versions if reading else {}
    folders = folder.top_folders()
    for name in folders:
        if name in _NOT_A_VERSION:
            continue
        if version_number(name) is None:
            verdict.report("E001", "unexpected folder in the object root", at=name)
        elif reading and name not in versions:
            verdict.report("E046", "a version folder the inventory does not know", at=name)
    for name in versions:
        if version_number(name) is not None and name not in folders:
            verdict.report("E046", "the inventory has this version, and there is no such folder", at=name)
    _check_sequence(folder, verdict)
    check_extensions(folder, verdict, file_code="E067", name_code="W013")


def _check_sequence(folder: Folder, verdict: Verdict) -> None:
    found = {n for name in folder.top_folders() if (n := version_number(name)) is not None}
    if found and 1 not in found:
        verdict.report("E009", f"the version folders start at number {min(found)}")
    if found and max(found) - min(found) + 1 != len(found):
        verdict.report("E010", "numbers are missing between the version folders")


def _sidecar(folder: Folder, reading: Reading | None, where: str) -> str:
    """The one digest file that belongs here; where the algorithm is unknown, whichever is there."""
    algorithm = reading.algorithm if reading else ""
    name = f"{INVENTORY}.{algorithm}"
    if algorithm and where + name in folder.keys:
        return name
    found = [n for n in folder.files_in(where) if re.fullmatch(r"inventory\.json\.[^/.]+", n)]
    return found[0] if found else name


def check_version_folders(folder: Folder, reading: Reading, verdict: Verdict) -> None:
    """In a version folder: inventory, sidecar and the content folder."""
    for name in folder.top_folders():
        if version_number(name) is None:
            continue
        files, folders = _children(folder, name)
        # An earlier version may have used another algorithm; its sidecar is judged with it.
        allowed = {INVENTORY, _sidecar(folder, reading, f"{name}/")}
        for file in files:
            if file not in allowed:
                verdict.report("E015", "unexpected file in a version folder", at=f"{name}/{file}")
        for inner in folders:
            if reading.content_directory and inner != reading.content_directory:
                verdict.report("W002", "unexpected folder in a version folder", at=f"{name}/{inner}")
    _check_empty(folder, reading, verdict)


def _children(folder: Folder, name: str) -> tuple[list[str], list[str]]:
    inside = [key[len(name) + 1 :] for key in folder.by_top.get(name, ())]
    files = [key for key in inside if "/" not in key]
    folders = {key.partition("/")[0] for key in inside if "/" in key}
    empty = {key[len(name) + 1 :].partition("/")[0] for key in folder.empty if key.startswith(f"{name}/")}
    return files, sorted(folders | empty)


def _check_empty(folder: Folder, reading: Reading, verdict: Verdict) -> None:
    """No empty folders among content; the content folder itself should rather not be there."""
    for key in sorted(folder.empty):
        version, _, rest = key.partition("/")
        inner, _, deeper = rest.partition("/")
        if version_number(version) is None or not inner or inner != reading.content_directory:
            continue
        if deeper:
            verdict.report("E024", "an empty folder among the content", at=key)
        else:
            verdict.report("W003", "a content folder without content", at=key)


def check_content_paths(folder: Folder, reading: Reading, verdict: Verdict) -> None:
    """The manifest names files in the content folders of versions that exist (§3.5.2)."""
    at = f"{reading.where}{INVENTORY}"
    numbers = {version_number(name): name for name in reading.versions}
    for path in (path for paths in reading.manifest.values() for path in paths):
        version, _, rest = path.partition("/")
        if version not in reading.versions:
            named = numbers.get(version_number(version)) if version_number(version) else None
            if named:
                verdict.report("E014", f"{shown(path)}: the folder is called “{named}”", at=at)
            verdict.report("E042", f"{shown(path)} is in none of the versions", at=at)
        elif reading.content_directory and not rest.startswith(f"{reading.content_directory}/"):
            verdict.report("E042", f"{shown(path)} is not in the content folder", at=at)
            if path in folder.keys:
                verdict.report("E016", f"content of {version} outside its content folder", at=path)
        if "\\" in path and path not in folder.keys and path.replace("\\", "/") in folder.keys:
            verdict.report("E035", f"{shown(path)} is separated by backslashes", at=at)
