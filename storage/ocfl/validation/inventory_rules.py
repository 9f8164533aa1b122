"""The rules for one inventory (OCFL 1.1 §3.5), whatever its JSON turns out to be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from packages.digest import DigestAlgorithm

__all__ = [
    "ALGORITHMS",
    "Report",
    "dict_of",
    "fixity_digests",
    "parse_json",
    "paths_of",
    "state_of",
    "validate_inventory",
    "version_number",
]

Report = Callable[[str, str], None]
_VERSION = re.compile(r"v(0*[1-9]\d{0,8})")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_LENGTHS = {"sha512": 128, "sha256": 64}
_FIELDS = {"id": "E036", "type": "E036", "digestAlgorithm": "E036", "head": "E036", "manifest": "E041",
           "versions": "E043"}  # fmt: skip


def version_number(name: str) -> int | None:
    """``v3`` and ``v003`` → 3; None for what is no version name."""
    match = _VERSION.fullmatch(name)
    return int(match.group(1)) if match else None


def parse_json(raw: bytes, where: str, report: Report) -> dict[str, Any] | None:
    """A JSON object, or None with E033 (no JSON) or E034 (no object) reported."""
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice.extend(key for key in found if keys.count(key) > 1)
        return found

    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        report("E033", f"{where} is not JSON: {str(error)[:120]}")
        return None
    if not isinstance(document, dict):
        report("E034", f"{where} is not a JSON object")
        return None
    for key in twice[:5]:
        report("E033", f"{where} has the key “{key[:80]}” twice")
    return document


def dict_of(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def paths_of(value: Any) -> list[str]:
    """The strings of an array; nothing for anything else."""
    return [path for path in value if isinstance(path, str)] if isinstance(value, list) else []


def state_of(block: Any) -> dict[str, list[str]]:
    """Digest (lower case) → logical paths of a version block."""
    state = dict_of(dict_of(block).get("state"))
    return {digest.lower(): paths_of(paths) for digest, paths in state.items()}


def validate_inventory(inventory: dict[str, Any], spec: str, report: Report) -> None:
    """Every rule that one inventory can break on its own."""
    for name, code in _FIELDS.items():
        if name not in inventory:
            report(code, f"the inventory has no “{name}”")
    _identity(inventory, spec, report)
    _content_directory(inventory, report)
    manifest = _manifest(inventory, report)
    _versions(inventory, manifest, report)
    _fixity(inventory, manifest, report)


def _identity(inventory: dict[str, Any], spec: str, report: Report) -> None:
    identifier = inventory.get("id")
    if "id" in inventory:
        if not isinstance(identifier, str) or not identifier:
            report("E037", "id is not a non-empty string")
        elif not _URI.fullmatch(identifier):
            report("W005", "id is not a URI")
    if "type" in inventory and inventory["type"] != f"https://ocfl.io/{spec}/spec/#inventory":
        report("E038", f"type is {str(inventory['type'])[:100]!r}, declared is OCFL {spec}")
    algorithm = inventory.get("digestAlgorithm")
    if "digestAlgorithm" in inventory:
        if not isinstance(algorithm, str) or algorithm not in _LENGTHS:
            report("E025", f"digestAlgorithm is {str(algorithm)[:60]!r}")
        elif algorithm == "sha256":
            report("W004", "digestAlgorithm is sha256, sha512 is recommended")


def _content_directory(inventory: dict[str, Any], report: Report) -> None:
    directory = inventory.get("contentDirectory", "content")
    if not isinstance(directory, str) or "/" in directory:
        report("E017", "contentDirectory is no plain folder name")
    elif directory in ("", ".", ".."):
        report("E018", f"contentDirectory is “{directory}”")


def _manifest(inventory: dict[str, Any], report: Report) -> dict[str, list[str]]:
    manifest = inventory.get("manifest", {})
    if not isinstance(manifest, dict):
        report("E041", "manifest is not an object")
        return {}
    _digest_block(manifest, "manifest", str(inventory.get("digestAlgorithm")), report)
    return {digest.lower(): paths_of(paths) for digest, paths in manifest.items()}


def _digest_block(block: dict[str, Any], name: str, algorithm: str, report: Report) -> None:
    """Digests and content paths of the manifest or of one part of the fixity block."""
    if len({digest.lower() for digest in block}) < len(block):
        report("E096" if name == "manifest" else "E097", f"a digest occurs twice in {name}")
    length = _LENGTHS.get(algorithm)
    seen: set[str] = set()
    for digest, paths in block.items():
        if length and (len(digest) != length or not re.fullmatch("[0-9a-fA-F]+", digest)):
            report("E025", f"“{digest[:40]}” is no {algorithm} digest")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            report(
                "E092" if name == "manifest" else "E057", f"{name} has no list of paths for {digest[:16]}…"
            )
        for path in paths_of(paths):
            _plain(path, "content", "E100", "E099", report)
            if path in seen:
                report("E101", f"{name} has the content path “{path}” twice")
            seen.add(path)
    _conflicts(seen, name, "E101", report)


def _plain(path: str, kind: str, slash: str, dots: str, report: Report) -> None:
    if path.startswith("/") or path.endswith("/"):
        report(slash, f"{kind} path “{path}” has an outer slash")
    if any(part in ("", ".", "..") for part in path.strip("/").split("/")):
        report(dots, f"{kind} path “{path}” is not plain")


def _conflicts(paths: set[str], name: str, code: str, report: Report) -> None:
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent:
            if parent in paths:
                report(code, f"{name}: “{parent}” is a file and a folder")
            parent = parent.rpartition("/")[0]


def _versions(inventory: dict[str, Any], manifest: dict[str, list[str]], report: Report) -> None:
    versions = inventory.get("versions", {})
    if not isinstance(versions, dict):
        report("E044", "versions is not an object")
        return
    if "versions" in inventory and not versions:
        report("E008", "there is no version")
    numbers = {}
    for name, block in versions.items():
        number = version_number(name)
        if number is None:
            report("E046", f"“{name[:40]}” is no version number")
        else:
            numbers[name] = number
        _block(name[:40], block, manifest, report)
    _sequence(inventory, numbers, report)
    used = {digest for block in versions.values() for digest in state_of(block)}
    unused = set(manifest) - used
    if unused:
        report("E107", f"{len(unused)} digest(s) of the manifest are in no version")


def _sequence(inventory: dict[str, Any], numbers: dict[str, int], report: Report) -> None:
    found = sorted(numbers.values())
    if found and found[0] != 1:
        report("E009", "the versions do not start with v1")
    elif found != list(range(1, len(found) + 1)):
        report("E010", f"the versions are not 1 to n: {found[:20]}")
    padded = {name for name in numbers if name.startswith("v0")}
    if padded:
        report("W001", "version numbers are zero-padded")
        if len({len(name) for name in numbers}) > 1:
            report("E012", "version numbers are padded in different ways")
    head = inventory.get("head")
    if "head" in inventory and (not isinstance(head, str) or (numbers and head not in numbers)):
        report("E040", f"head {str(head)[:40]} is not among the versions")
    elif isinstance(head, str) and numbers and numbers[head] != max(found):
        report("E040", f"head {head} is not the newest version")


def _block(name: str, block: Any, manifest: dict[str, list[str]], report: Report) -> None:
    if not isinstance(block, dict):
        report("E047", f"{name} is not an object")
        return
    created = block.get("created")
    if "created" not in block:
        report("E048", f"{name} has no created")
    elif not isinstance(created, str) or not _is_moment(created):
        report("E049", f"created of {name} is no RFC 3339 time")
    _message_and_user(name, block, report)
    state = block.get("state")
    if "state" not in block:
        report("E048", f"{name} has no state")
    elif not isinstance(state, dict):
        report("E050", f"state of {name} is not an object")
    else:
        _state(name, state, manifest, report)


def _is_moment(text: str) -> bool:
    if not _RFC3339.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def _message_and_user(name: str, block: dict[str, Any], report: Report) -> None:
    if "message" not in block:
        report("W007", f"{name} has no message")
    elif not isinstance(block["message"], str):
        report("E094", f"message of {name} is no string")
    user = block.get("user")
    if "user" not in block:
        report("W007", f"{name} has no user")
    elif not isinstance(user, dict) or not isinstance(user.get("name"), str) or not user["name"]:
        report("E054", f"user of {name} has no name")
    elif not user.get("address"):
        report("W008", f"user of {name} has no address")
    elif not isinstance(user["address"], str) or not _URI.fullmatch(user["address"]):
        report("W009", f"address of {name}'s user is no URI")


def _state(name: str, state: dict[str, Any], manifest: dict[str, list[str]], report: Report) -> None:
    paths: set[str] = set()
    for digest, logical_paths in state.items():
        if digest.lower() not in manifest:
            report("E050", f"{name} uses a digest that is not in the manifest")
        if not isinstance(logical_paths, list) or not all(isinstance(p, str) for p in logical_paths):
            report("E051", f"{name} has no list of logical paths for {digest[:16]}…")
        for path in paths_of(logical_paths):
            if path in paths:
                report("E095", f"{name} has “{path}” twice")
            _plain(path, "logical", "E053", "E052", report)
            paths.add(path)
    _conflicts(paths, name, "E095", report)


def _fixity(inventory: dict[str, Any], manifest: dict[str, list[str]], report: Report) -> None:
    if "fixity" not in inventory:
        return
    fixity = inventory["fixity"]
    if not isinstance(fixity, dict):
        report("E111", "fixity is not an object")
        return
    known = {path for paths in manifest.values() for path in paths}
    for algorithm, block in fixity.items():
        if not isinstance(block, dict):
            report("E057", f"fixity of {algorithm[:40]} is not an object")
            continue
        _digest_block(block, f"fixity {algorithm[:40]}", algorithm, report)
        for path in (path for paths in block.values() for path in paths_of(paths)):
            if path not in known:
                report("E057", f"fixity of {algorithm[:40]} names “{path}”, which the manifest lacks")


def fixity_digests(inventory: dict[str, Any]) -> Iterator[tuple[str, DigestAlgorithm, str]]:
    """(content path, algorithm, digest) of every fixity entry by an algorithm we know."""
    for name, block in dict_of(inventory.get("fixity")).items():
        algorithm = ALGORITHMS.get(name)
        if algorithm:
            for digest, paths in dict_of(block).items():
                for path in paths_of(paths):
                    yield path, algorithm, digest.lower()


ALGORITHMS = {
    "md5": DigestAlgorithm.MD5,
    "sha1": DigestAlgorithm.SHA1,
    "sha256": DigestAlgorithm.SHA256,
    "sha512": DigestAlgorithm.SHA512,
    "blake2b-512": DigestAlgorithm.BLAKE2B,
}
"""Digest algorithms by the names of OCFL and its extension 0009; others are not checked."""
