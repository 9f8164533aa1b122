"""The inventories in version folders (§3.7): each by itself, and against the one in the object root."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from storage.errors import ObjectMissing
from storage.ocfl.inventory import INVENTORY
from storage.ocfl.validation.folder import Folder
from storage.ocfl.validation.inventory import read_inventory
from storage.ocfl.validation.reading import PathsByDigest, Reading, shown
from storage.ocfl.validation.sidecar import check_sidecar
from storage.ocfl.validation.structure import check_content_paths
from storage.ocfl.validation.verdict import ObjectVerdict, Verdict
from storage.ocfl.validation.versions import version_number


def read_earlier(folder: Folder, root: Reading, raw: bytes, verdict: ObjectVerdict) -> Iterator[Reading]:
    """The readings of version folders' inventories, oldest first and one at a time.

    What is said of the newest is said already when it is the same file as in the object root.
    """
    first: Reading | None = None
    before = ""
    names = [name for name in root.versions if version_number(name) is not None]
    for name in sorted(names, key=lambda name: version_number(name) or 0):
        content = _read(folder, name, verdict)
        if content is None:
            continue
        if name == root.head and content != raw:
            verdict.report(
                "E064", "differs from the inventory in the object root", at=f"{name}/{INVENTORY}"
            )
        reading = root if content == raw else _read_one(folder, name, content, verdict)
        algorithm = reading.algorithm if reading else ""
        check_sidecar(folder, f"{name}/", content, algorithm, verdict)
        if reading is None:
            continue
        _check_order(before, reading, name, verdict)
        before = reading.spec or before
        _check_content_directory(first, reading, name, verdict)
        first = first or reading
        if reading is root:
            if root.head and name != root.head:
                verdict.report("E040", f"head is {shown(root.head)}", at=f"{name}/{INVENTORY}")
            continue
        _compare(reading, root, name, verdict)
        yield reading
    _check_order(before, root, "", verdict)
    _check_content_directory(first, root, "", verdict)


def _read(folder: Folder, name: str, verdict: Verdict) -> bytes | None:
    try:
        return folder.read(f"{name}/{INVENTORY}")
    except ObjectMissing:
        verdict.report("W010", "the version has no inventory of its own", at=name)
        return None


def _read_one(folder: Folder, name: str, raw: bytes, verdict: ObjectVerdict) -> Reading | None:
    """Its errors count; its warnings were those of another day, but a weak digest stays one."""
    own = Verdict(verdict.root, verdict.spec)
    reading = read_inventory(raw, f"{name}/", own)
    if reading is not None:
        check_content_paths(folder, reading, own)
        _check_listed(folder, reading, own)
    verdict.problems += [p for p in own.problems if p.code.startswith("E") or p.code == "W004"]
    return reading


def _check_listed(folder: Folder, reading: Reading, verdict: Verdict) -> None:
    """Every content file of this version and those before it is in its manifest (§3.3.1, §3.7)."""
    if not reading.content_directory:
        return
    newest = version_number(reading.where.rstrip("/")) or 0
    listed = {path for paths in reading.manifest.values() for path in paths}
    for key in sorted(folder.keys - listed):
        version, _, rest = key.partition("/")
        number = version_number(version)
        if number and number <= newest and rest.startswith(f"{reading.content_directory}/"):
            verdict.report("E023", f"is not in the manifest of {reading.where}{INVENTORY}", at=key)


def _check_order(before: str, reading: Reading, name: str, verdict: Verdict) -> None:
    if reading.spec and before > reading.spec:
        found = f"follows OCFL {reading.spec}, an earlier version OCFL {before}"
        verdict.report("E103", found, at=f"{name}/{INVENTORY}")


def _check_content_directory(first: Reading | None, reading: Reading, name: str, verdict: Verdict) -> None:
    if first is None:
        return
    at = f"{name}/{INVENTORY}"
    of_first_version = version_number(first.where.rstrip("/")) == 1
    if reading.names_content_directory and not first.names_content_directory and of_first_version:
        verdict.report("E019", "sets contentDirectory, the first version did not", at=at)
        return
    if first.content_directory == reading.content_directory:
        return
    for code in ("E019", "E020"):  # both halves of one sentence; a change breaks the whole of it
        verdict.report(code, f"contentDirectory is not that of {first.where}{INVENTORY}", at=at)


def _compare(reading: Reading, root: Reading, name: str, verdict: Verdict) -> None:
    at = f"{name}/{INVENTORY}"
    if reading.object_id != root.object_id:
        found = f"id is {shown(reading.object_id)}, in the object root {shown(root.object_id)}"
        verdict.report("E037", found, at=at)
        verdict.report("E110", found, at=at)
    for version, block in reading.versions.items():
        now = root.versions.get(version)
        if now is None:
            verdict.report("E066", f"has {shown(version)}, which the object root does not know", at=at)
            continue
        if not _same_state(reading, root, version):
            verdict.report("E066", f"the state of {shown(version)} is not that in the object root", at=at)
        for key in ("created", "message", "user"):
            if _text(block.get(key)) != _text(now.get(key)):
                found = f"{key} of {shown(version)} is not that in the object root"
                verdict.report("W011", found, at=at)


def _text(value: object) -> object:
    """What can be compared of a value that should be a string or a flat object of strings."""
    if isinstance(value, Mapping):
        return sorted((key, inner) for key, inner in value.items() if isinstance(inner, str))
    return value if isinstance(value, str) else None


def _same_state(old: Reading, new: Reading, version: str) -> bool:
    before, after = _logical(old.states.get(version, {})), _logical(new.states.get(version, {}))
    if old.algorithm == new.algorithm:
        return before == after
    if before.keys() != after.keys():
        return False
    # Other digests for the same bytes: then they must lead to the same file.
    then, now = _folded(old.manifest), _folded(new.manifest)
    return all(
        not then.get(digest, set()).isdisjoint(now.get(after[path], set()))
        for path, digest in before.items()
    )


def _logical(state: PathsByDigest) -> dict[str, str]:
    return {path: digest.lower() for digest, paths in state.items() for path in paths}


def _folded(manifest: PathsByDigest) -> dict[str, set[Any]]:
    return {digest.lower(): set(paths) for digest, paths in manifest.items()}
