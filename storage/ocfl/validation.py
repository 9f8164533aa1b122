"""Judging OCFL objects, ours and foreign ones, by the rules and codes of OCFL 1.1."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from packages.digest import DigestAlgorithm
from packages.problem import Problem, Severity
from packages.problem_catalogue import standard_problem
from storage.errors import ObjectMissing
from storage.ocfl.inventory import INVENTORY
from storage.protocol import ObjectStore, read_all

_VERSION = re.compile(r"v(0*[1-9]\d*)")
_SPEC_TYPE = re.compile(r"https://ocfl\.io/(1\.[01])/spec/#inventory")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_DIGESTS = {"sha512", "sha256"}


@dataclass(slots=True)
class ObjectVerdict:
    """What was found. ``contents`` maps content paths to (size, digest) of the bytes read."""

    root: str
    object_id: str = ""
    head: str = ""
    inventory: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, tuple[int, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def report(self, code: str, found: str, *, severity: Severity = Severity.ERROR) -> None:
        """Add a finding."""
        where = self.root or "object"
        self.problems.append(
            standard_problem(code, where, standard="OCFL 1.1", found=found, severity=severity)
        )


def validate_object(store: ObjectStore, root: str) -> ObjectVerdict:
    """Read every byte of the object below ``root`` (``""`` = the whole store) and judge it."""
    verdict = ObjectVerdict(root)
    prefix = f"{root}/" if root else ""
    keys = {key.removeprefix(prefix) for key in store.list(prefix)}
    _declaration(store, prefix, keys, verdict)
    raw = _inventory_bytes(store, prefix, keys, verdict)
    if raw is None or not _parse(raw, verdict):
        return verdict
    inventory = verdict.inventory
    _versions(inventory, verdict)
    _manifest_and_state(inventory, verdict)
    _version_folders(store, prefix, keys, raw, verdict)
    _root_files(keys, inventory, verdict)
    _content(store, prefix, keys, inventory, verdict)
    return verdict


def _declaration(store: ObjectStore, prefix: str, keys: set[str], verdict: ObjectVerdict) -> None:
    declared = [key for key in keys if key.startswith("0=")]
    if not declared:
        verdict.report("E003", "no conformance declaration (0=ocfl_object_…)")
    for key in declared:
        content = read_all(store, prefix + key, limit=4096)
        if content != f"{key.removeprefix('0=')}\n".encode():
            verdict.report("E007", f"{key} does not contain its own name and a newline")
    if len(declared) > 1:
        verdict.report("E003", f"{len(declared)} conformance declarations")


def _inventory_bytes(
    store: ObjectStore, prefix: str, keys: set[str], verdict: ObjectVerdict
) -> bytes | None:
    if INVENTORY not in keys:
        verdict.report("E063", "no root inventory")
        return None
    raw = read_all(store, prefix + INVENTORY)
    _sidecar(store, prefix, keys, "", raw, verdict)
    return raw


def _sidecar(
    store: ObjectStore, prefix: str, keys: set[str], folder: str, raw: bytes, verdict: ObjectVerdict
) -> None:
    names = [k for k in keys if re.fullmatch(rf"{re.escape(folder)}inventory\.json\.\w+", k)]
    if not names:
        verdict.report("E058", f"{folder}inventory.json has no digest file")
    for name in names:
        algorithm = DigestAlgorithm.parse(name.rsplit(".", 1)[1])
        text = read_all(store, prefix + name, limit=4096).decode("utf-8", "replace")
        match = re.fullmatch(r"([0-9a-fA-F]+)[ \t]+inventory\.json\s*", text)
        if match is None or algorithm is None:
            verdict.report("E061", f"{name} is not “digest inventory.json”")
            continue
        hasher = algorithm.new()
        hasher.update(raw)
        if hasher.hexdigest() != match.group(1).lower():
            verdict.report("E060", f"{name} does not match the inventory")


def _parse(raw: bytes, verdict: ObjectVerdict) -> bool:
    try:
        inventory = json.loads(raw)
    except ValueError as error:
        verdict.report("E033", f"the inventory is not JSON: {error}")
        return False
    if not isinstance(inventory, dict):
        verdict.report("E033", "the inventory is not a JSON object")
        return False
    verdict.inventory = inventory
    for name, code in (
        ("id", "E036"), ("type", "E036"), ("digestAlgorithm", "E036"), ("head", "E036"),
        ("manifest", "E041"), ("versions", "E043"),
    ):  # fmt: skip
        if name not in inventory:
            verdict.report(code, f"the inventory has no “{name}”")
    identifier = inventory.get("id")
    if not isinstance(identifier, str) or not identifier:
        verdict.report("E037", "id is not a non-empty string")
    elif not re.match(r"^[A-Za-z][A-Za-z0-9+.-]*:", identifier):
        verdict.report("W005", "id is not a URI", severity=Severity.WARNING)
    verdict.object_id = str(identifier)
    if not _SPEC_TYPE.fullmatch(str(inventory.get("type"))):
        verdict.report("E038", f"type is {inventory.get('type')!r}")
    algorithm = inventory.get("digestAlgorithm")
    if algorithm not in _DIGESTS:
        verdict.report("E025", f"digestAlgorithm is {algorithm!r}")
    elif algorithm == "sha256":
        verdict.report("W004", "digestAlgorithm is sha256", severity=Severity.WARNING)
    directory = inventory.get("contentDirectory", "content")
    if not isinstance(directory, str) or "/" in directory:
        verdict.report("E017", "contentDirectory contains a slash")
    elif directory in ("", ".", ".."):
        verdict.report("E018", "contentDirectory is no folder name")
    verdict.head = str(inventory.get("head"))
    return isinstance(inventory.get("manifest"), dict) and isinstance(inventory.get("versions"), dict)


def _versions(inventory: dict[str, Any], verdict: ObjectVerdict) -> None:
    numbers = []
    for name, version in inventory["versions"].items():
        match = _VERSION.fullmatch(name)
        if match is None:
            verdict.report("E046", f"“{name}” is no version number")
            continue
        numbers.append(int(match.group(1)))
        _version_block(name, version, verdict)
    if not inventory["versions"]:
        verdict.report("E008", "there is no version")
    if sorted(numbers) != list(range(1, len(numbers) + 1)):
        verdict.report("E010", f"the versions are not 1 to n: {sorted(numbers)}")
    if verdict.head not in inventory["versions"]:
        verdict.report("E040", f"head {verdict.head} is not among the versions")
    elif numbers and int(verdict.head[1:]) != max(numbers):
        verdict.report("E040", f"head {verdict.head} is not the newest version")


def _version_block(name: str, version: Any, verdict: ObjectVerdict) -> None:
    if not isinstance(version, dict):
        verdict.report("E047", f"{name} is not an object")
        return
    if "created" not in version:
        verdict.report("E048", f"{name} has no created")
    elif not _RFC3339.fullmatch(str(version["created"])):
        verdict.report("E049", f"created of {name} is no RFC 3339 time")
    if not isinstance(version.get("state"), dict):
        verdict.report("E048", f"{name} has no state")
    if not version.get("message"):
        verdict.report("W007", f"{name} has no message", severity=Severity.WARNING)
    elif not isinstance(version["message"], str):
        verdict.report("E094", f"message of {name} is no string")
    user = version.get("user")
    if not user:
        verdict.report("W007", f"{name} has no user", severity=Severity.WARNING)
    elif not isinstance(user, dict) or not user.get("name"):
        verdict.report("E054", f"user of {name} has no name")
    elif not user.get("address"):
        verdict.report("W008", f"user of {name} has no address", severity=Severity.WARNING)


def _manifest_and_state(inventory: dict[str, Any], verdict: ObjectVerdict) -> None:
    manifest = {str(digest).lower(): paths for digest, paths in inventory["manifest"].items()}
    if len(manifest) != len(inventory["manifest"]):
        verdict.report("E096", "a digest occurs twice in the manifest")
    used: set[str] = set()
    for name, version in inventory["versions"].items():
        state = version.get("state") if isinstance(version, dict) else None
        if isinstance(state, dict):
            used |= {digest.lower() for digest in state}
            _state(name, state, set(manifest), verdict)
    if set(manifest) - used:
        verdict.report("E107", f"{len(set(manifest) - used)} digest(s) no version uses")
    seen: set[str] = set()
    for path in (path for paths in manifest.values() for path in paths):
        if path in seen:
            verdict.report("E101", f"content path “{path}” twice")
        _plain(path, "content", "E100", "E099", verdict)
        seen.add(path)


def _state(name: str, state: dict[str, list[str]], known: set[str], verdict: ObjectVerdict) -> None:
    paths: set[str] = set()
    for digest, logical_paths in state.items():
        if digest.lower() not in known:
            verdict.report("E050", f"{name} uses a digest that is not in the manifest")
        for path in logical_paths:
            if path in paths:
                verdict.report("E095", f"{name} has “{path}” twice")
            _plain(path, "logical", "E053", "E052", verdict)
            paths.add(path)
    if any(parent in paths for path in paths for parent in _parents(path)):
        verdict.report("E095", f"{name} has a path that is a file and a folder")


def _plain(path: str, kind: str, slash: str, dots: str, verdict: ObjectVerdict) -> None:
    if path.startswith("/") or path.endswith("/"):
        verdict.report(slash, f"{kind} path “{path}” has an outer slash")
    if any(part in ("", ".", "..") for part in path.strip("/").split("/")):
        verdict.report(dots, f"{kind} path “{path}” is not plain")


def _parents(path: str) -> Iterator[str]:
    parent = path.rpartition("/")[0]
    while parent:
        yield parent
        parent = parent.rpartition("/")[0]


def _version_folders(
    store: ObjectStore, prefix: str, keys: set[str], raw: bytes, verdict: ObjectVerdict
) -> None:
    inventory = verdict.inventory
    for name in inventory["versions"]:
        key = f"{name}/{INVENTORY}"
        if key not in keys:
            severity = Severity.ERROR if name == verdict.head else Severity.WARNING
            code = "E064" if name == verdict.head else "W010"
            verdict.report(code, f"{name} has no inventory", severity=severity)
            continue
        content = read_all(store, prefix + key)
        _sidecar(store, prefix, keys, f"{name}/", content, verdict)
        if name == verdict.head:
            if content != raw:
                verdict.report("E064", f"{key} differs from the root inventory")
        else:
            _earlier_inventory(content, name, verdict)


def _earlier_inventory(content: bytes, name: str, verdict: ObjectVerdict) -> None:
    try:
        earlier = json.loads(content)
        for version, block in earlier["versions"].items():
            now = verdict.inventory["versions"][version]["state"]
            if earlier.get("digestAlgorithm") == verdict.inventory.get("digestAlgorithm") and (
                _logical(block["state"]) != _logical(now)
            ):
                verdict.report("E066", f"state of {version} changed since {name}")
    except (ValueError, KeyError, TypeError, AttributeError):
        verdict.report("E033", f"the inventory of {name} cannot be read")


def _logical(state: dict[str, list[str]]) -> dict[str, str]:
    return {path: digest.lower() for digest, paths in state.items() for path in paths}


def _root_files(keys: set[str], inventory: dict[str, Any], verdict: ObjectVerdict) -> None:
    directory = inventory.get("contentDirectory", "content")
    versions = set(inventory["versions"])
    for key in keys:
        top, slash, rest = key.partition("/")
        if not slash:
            if not top.startswith(("0=", INVENTORY)):
                verdict.report("E001", f"unexpected file {key}")
        elif top in versions:
            inner, inner_slash, _ = rest.partition("/")
            if not inner_slash and not inner.startswith(INVENTORY):
                verdict.report("E015", f"unexpected file {key}")
            elif inner_slash and inner != directory:
                verdict.report("W002", f"unexpected folder {top}/{inner}", severity=Severity.WARNING)
        elif top not in ("extensions", "logs"):
            code = "E046" if _VERSION.fullmatch(top) else "E001"
            verdict.report(code, f"unexpected folder {top}")


def _content(
    store: ObjectStore,
    prefix: str,
    keys: set[str],
    inventory: dict[str, Any],
    verdict: ObjectVerdict,
) -> None:
    algorithm = inventory.get("digestAlgorithm")
    if algorithm not in _DIGESTS:
        return
    expected = {p: d.lower() for d, paths in inventory["manifest"].items() for p in paths}
    directory = inventory.get("contentDirectory", "content")
    for key in sorted(keys):
        top, _, rest = key.partition("/")
        inside = top in inventory["versions"] and rest.startswith(f"{directory}/")
        if inside and key not in expected:
            verdict.report("E023", f"{key} is not in the manifest")
    for path, digest in sorted(expected.items()):
        try:
            size, found = _digest(store, prefix + path, algorithm)
        except (ObjectMissing, ValueError):
            verdict.report("E092", f"{path} is missing")
            continue
        verdict.contents[path] = (size, found)
        if found != digest:
            verdict.report("E092", f"{path} has changed: expected {digest}, found {found}")


def _digest(store: ObjectStore, key: str, algorithm: str) -> tuple[int, str]:
    hasher, size = hashlib.new(algorithm), 0
    with store.open(key) as stream:
        while chunk := stream.read(1 << 20):
            hasher.update(chunk)
            size += len(chunk)
    return size, hasher.hexdigest()
