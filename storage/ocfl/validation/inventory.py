"""The structure of one inventory (§3.5): from bytes to a reading every later rule can trust."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from storage.ocfl.digests import CONTENT_ALGORITHMS
from storage.ocfl.validation.paths import read_fixity, read_manifest
from storage.ocfl.validation.reading import Reading, parse_json, repeated_keys, shown
from storage.ocfl.validation.verdict import Verdict
from storage.ocfl.validation.versions import check_head, check_numbers, read_states, read_versions

_TYPE = re.compile(r"https://ocfl\.io/(1\.[01])/spec/#inventory")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")
_KEYS = {
    "id", "type", "digestAlgorithm", "head", "contentDirectory", "manifest", "versions", "fixity",
}  # fmt: skip
# A key that must be there, and the rule that says so.
_REQUIRED = {
    "id": "E036", "type": "E036", "digestAlgorithm": "E036", "head": "E036",
    "manifest": "E041", "versions": "E043",
}  # fmt: skip


def read_inventory(raw: bytes, where: str, verdict: Verdict) -> Reading | None:
    """Check the inventory of folder ``where`` by itself; None when there is nothing to go on."""
    at = f"{where}inventory.json"
    try:
        document = parse_json(raw)
    except ValueError as error:
        verdict.report("E033", f"is not JSON in UTF-8: {error}", at=at)
        return None
    if not isinstance(document, dict):
        verdict.report("E033", f"is {shown(document)}, not a JSON object", at=at)
        return None
    _check_keys(document, at, verdict)
    manifest = read_manifest(document, at, verdict)
    versions = read_versions(document, at, verdict)
    states = read_states(versions, manifest, at, verdict)
    reading = Reading(
        where=where,
        object_id=_identifier(document, at, verdict),
        spec=_spec(document, at, verdict),
        algorithm=_algorithm(document, at, verdict),
        head=document["head"] if isinstance(document.get("head"), str) else "",
        content_directory=_content_directory(document, at, verdict),
        names_content_directory="contentDirectory" in document,
        manifest=manifest,
        fixity=read_fixity(document, manifest, at, verdict),
        versions=versions,
        states=states,
    )
    check_numbers(reading, document, verdict)
    check_head(reading, document, verdict)
    return reading


def _check_keys(document: Mapping[str, Any], at: str, verdict: Verdict) -> None:
    for name, code in _REQUIRED.items():
        if name not in document:
            verdict.report(code, f"has no “{name}”", at=at)
    for name in document:
        if name in _KEYS:
            continue
        if name.lower() == "fixity":
            verdict.report("E055", f"the fixity block is called {shown(name)}", at=at)
        verdict.report("E102", f"has a key the specification does not know: {shown(name)}", at=at)
    for name in repeated_keys(document):
        verdict.report("E033", f"has the key {shown(name)} more than once", at=at)


def _identifier(document: Mapping[str, Any], at: str, verdict: Verdict) -> str:
    if "id" not in document:
        return ""
    identifier = document["id"]
    if not isinstance(identifier, str) or not identifier:
        verdict.report("E037", "id is not a non-empty string", at=at)
        return ""
    if not _URI.fullmatch(identifier):
        verdict.report("W005", f"id {shown(identifier)} is not a URI", at=at)
    return identifier


def _spec(document: Mapping[str, Any], at: str, verdict: Verdict) -> str:
    if "type" not in document:
        return ""
    kind = document["type"]
    match = _TYPE.fullmatch(kind) if isinstance(kind, str) else None
    if match is None:
        verdict.report("E038", f"type is {shown(kind)}", at=at)
        return ""
    return match.group(1)


def _algorithm(document: Mapping[str, Any], at: str, verdict: Verdict) -> str:
    if "digestAlgorithm" not in document:
        return ""
    algorithm = document["digestAlgorithm"]
    if algorithm == "sha256":
        verdict.report("W004", "digestAlgorithm is sha256, not sha512", at=at)
    if algorithm not in CONTENT_ALGORITHMS:
        verdict.report("E025", f"digestAlgorithm is {shown(algorithm)}", at=at)
    return algorithm if isinstance(algorithm, str) else ""


def _content_directory(document: Mapping[str, Any], at: str, verdict: Verdict) -> str:
    directory = document.get("contentDirectory", "content")
    if not isinstance(directory, str) or not directory:
        verdict.report("E108", f"contentDirectory is {shown(directory)}, no folder's name", at=at)
    elif "/" in directory:
        verdict.report("E017", f"contentDirectory {shown(directory)} contains a slash", at=at)
        verdict.report("E108", f"contentDirectory {shown(directory)} is no direct child", at=at)
    elif directory in (".", ".."):
        verdict.report("E018", f"contentDirectory is {shown(directory)}", at=at)
    else:
        return directory
    return ""
