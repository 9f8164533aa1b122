"""Digests and the paths they stand for: the manifest (§3.5.2), fixity (§3.5.4), plain paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from storage.ocfl.digests import hex_length, is_known
from storage.ocfl.validation.reading import PathsByDigest, conflicts, repeated_keys, shown
from storage.ocfl.validation.verdict import Verdict

_HEX = re.compile("[0-9a-fA-F]+")
# The rule that says how digests of an algorithm are written.
_ENCODING = {"sha1": "E029", "sha256": "E030", "sha512": "E031", "blake2b-512": "E032"}


def read_manifest(document: Mapping[str, Any], at: str, verdict: Verdict) -> PathsByDigest:
    """The manifest, with what is no array of strings left out."""
    if "manifest" not in document:
        return {}
    block = document["manifest"]
    if not isinstance(block, dict):
        verdict.report("E106", f"manifest is {shown(block)}, not an object", at=at)
        return {}
    _digests_once(block, "manifest", "E096", at, verdict)
    _check_encoding(block, document.get("digestAlgorithm"), at, verdict)
    manifest = {
        digest: _strings(paths, f"manifest[{digest[:12]}…]", "E092", "E098", at, verdict)
        for digest, paths in block.items()
    }
    paths = [path for group in manifest.values() for path in group]
    for digest, group in manifest.items():
        if block[digest] == []:
            verdict.report("E092", f"manifest[{digest[:12]}…] has no content path", at=at)
        check_plain(group, "content", "E100", "E099", at, verdict)
    report_conflicts(paths, "content", "E101", at, verdict)
    return manifest


def read_fixity(
    document: Mapping[str, Any], manifest: PathsByDigest, at: str, verdict: Verdict
) -> dict[str, PathsByDigest]:
    """The fixity block by algorithm; it is built like the manifest, with other numbers."""
    if "fixity" not in document:
        return {}
    block = document["fixity"]
    if not isinstance(block, dict):
        verdict.report("E111", f"fixity is {shown(block)}, not an object", at=at)
        return {}
    for name in repeated_keys(block):
        verdict.report("E057", f"fixity has the algorithm {shown(name)} more than once", at=at)
    known = {path for paths in manifest.values() for path in paths}
    fixity = {}
    for algorithm, digests in block.items():
        if not is_known(algorithm):
            verdict.report("E056", f"fixity algorithm {shown(algorithm)} is in no registered table", at=at)
        if not isinstance(digests, dict):
            verdict.report("E057", f"fixity.{algorithm[:20]} is {shown(digests)}, not an object", at=at)
            continue
        fixity[algorithm] = _read_fixity_block(algorithm, digests, known, at, verdict)
    return fixity


def _read_fixity_block(
    algorithm: str, digests: Mapping[str, Any], known: set[str], at: str, verdict: Verdict
) -> PathsByDigest:
    _digests_once(digests, f"fixity.{algorithm[:20]}", "E097", at, verdict)
    for digest in digests:
        if not is_digest(digest, algorithm):
            code = _ENCODING.get(algorithm, "E057")
            verdict.report(code, f"fixity has {shown(digest)}, no {algorithm[:20]} in hexadecimal", at=at)
    block = {
        digest: _strings(paths, f"fixity.{algorithm[:20]}[{digest[:12]}…]", "E057", "E057", at, verdict)
        for digest, paths in digests.items()
    }
    seen: set[str] = set()
    for group in block.values():
        check_plain(group, "content", "E100", "E099", at, verdict)
        for path in group:
            if path not in known:
                verdict.report("E057", f"fixity names {shown(path)}, which is not in the manifest", at=at)
            if path in seen:
                verdict.report("E057", f"fixity names {shown(path)} twice for {algorithm[:20]}", at=at)
            seen.add(path)
    return block


def is_digest(text: str, algorithm: str) -> bool:
    """Whether a text can be a digest of an algorithm; true where we know no better."""
    length = hex_length(algorithm)
    return length is None or (len(text) == length and _HEX.fullmatch(text) is not None)


def _check_encoding(block: Mapping[str, Any], algorithm: object, at: str, verdict: Verdict) -> None:
    if algorithm not in ("sha512", "sha256") or not isinstance(algorithm, str):
        return
    for digest in block:
        if is_digest(digest, algorithm):
            continue
        if _HEX.fullmatch(digest):  # a digest, of something else
            verdict.report("E039", f"manifest has {shown(digest)}, which is no {algorithm}", at=at)
        else:
            verdict.report(_ENCODING[algorithm], f"manifest has {shown(digest)}: not hexadecimal", at=at)


def _digests_once(block: Mapping[str, Any], name: str, code: str, at: str, verdict: Verdict) -> None:
    seen: dict[str, str] = {}
    for digest in block:
        if digest.lower() in seen:
            verdict.report(code, f"{name} has {shown(digest)} twice, in different case", at=at)
        seen[digest.lower()] = digest
    for digest in repeated_keys(block):
        verdict.report(code, f"{name} has {shown(digest)} more than once", at=at)


def _strings(
    value: object, name: str, no_array: str, no_string: str, at: str, verdict: Verdict
) -> tuple[str, ...]:
    if not isinstance(value, list):
        verdict.report(no_array, f"{name} is {shown(value)}, not an array", at=at)
        return ()
    for item in value:
        if not isinstance(item, str):
            verdict.report(no_string, f"{name} contains {shown(item)}, not a path", at=at)
    return tuple(item for item in value if isinstance(item, str))


read_paths = _strings


def check_plain(
    paths: tuple[str, ...], kind: str, slash: str, dots: str, at: str, verdict: Verdict
) -> None:
    """No outer slash; no empty, ``.`` or ``..`` element."""
    for path in paths:
        if path.startswith("/") or path.endswith("/"):
            verdict.report(slash, f"{kind} path {shown(path)} begins or ends with a slash", at=at)
        if any(part in ("", ".", "..") for part in path.strip("/").split("/")):
            verdict.report(dots, f"{kind} path {shown(path)} has an empty, “.” or “..” element", at=at)


def report_conflicts(paths: list[str], kind: str, code: str, at: str, verdict: Verdict) -> None:
    """Each path once, and none that is a file and a folder."""
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            verdict.report(code, f"{kind} path {shown(path)} occurs twice", at=at)
        seen.add(path)
    for path in sorted(conflicts(paths)):
        verdict.report(code, f"{kind} path {shown(path)} is below a path that is a file", at=at)
