"""The versions an inventory describes (§3.3, §3.5.3): numbers, blocks and logical states."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from storage.ocfl.validation.paths import check_plain, read_paths, report_conflicts
from storage.ocfl.validation.reading import PathsByDigest, Reading, repeated_keys, shown
from storage.ocfl.validation.verdict import Verdict

# Nine digits are more versions than there will be, and still a number Python reads at once.
_NUMBER = re.compile(r"v(0*[1-9][0-9]{0,8})", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")
_KEYS = {"created", "state", "message", "user"}


def version_number(name: str) -> int | None:
    """The number of a version folder, None if it is no such name."""
    match = _NUMBER.fullmatch(name)
    return int(match.group(1)) if match and len(name) < 30 else None


def read_versions(document: Mapping[str, Any], at: str, verdict: Verdict) -> dict[str, Mapping[str, Any]]:
    """The version blocks that are objects."""
    if "versions" not in document:
        return {}
    block = document["versions"]
    if not isinstance(block, dict):
        verdict.report("E044", f"versions is {shown(block)}, not an object", at=at)
        verdict.report("E045", f"versions is {shown(block)}, not an object", at=at)
        return {}
    for name in repeated_keys(block):
        verdict.report("E046", f"versions has {shown(name)} more than once", at=at)
    versions: dict[str, Mapping[str, Any]] = {}
    for name, version in block.items():
        if not isinstance(version, dict):
            verdict.report("E047", f"version {shown(name)} is {shown(version)}, not an object", at=at)
            continue
        versions[name] = version
        _check_block(name, version, at, verdict)
    return versions


def _check_block(name: str, version: Mapping[str, Any], at: str, verdict: Verdict) -> None:
    for key in version:
        if key not in _KEYS:
            verdict.report("E102", f"version {shown(name)} has an unknown key {shown(key)}", at=at)
    for key in repeated_keys(version):
        verdict.report("E033", f"version {shown(name)} has {shown(key)} more than once", at=at)
    for key in ("created", "state"):
        if key not in version:
            verdict.report("E048", f"version {shown(name)} has no “{key}”", at=at)
    if "created" in version and not is_rfc3339(version["created"]):
        found = shown(version["created"])
        verdict.report("E049", f"created of {shown(name)} is {found}, no RFC 3339 time", at=at)
    for key in ("message", "user"):
        if key not in version:
            verdict.report("W007", f"version {shown(name)} has no “{key}”", at=at)
    if "message" in version and not isinstance(version["message"], str):
        verdict.report("E094", f"message of {shown(name)} is {shown(version['message'])}", at=at)
    if "user" in version:
        _check_user(name, version["user"], at, verdict)


def _check_user(name: str, user: object, at: str, verdict: Verdict) -> None:
    if not isinstance(user, dict) or not isinstance(user.get("name"), str) or not user["name"]:
        verdict.report("E054", f"user of {shown(name)} has no name", at=at)
        return
    for key in user:
        if key not in ("name", "address"):
            verdict.report("E102", f"user of {shown(name)} has an unknown key {shown(key)}", at=at)
    for key in repeated_keys(user):
        verdict.report("E033", f"user of {shown(name)} has {shown(key)} more than once", at=at)
    if "address" not in user:
        verdict.report("W008", f"user of {shown(name)} has no address", at=at)
    elif not isinstance(user["address"], str) or not _URI.fullmatch(user["address"]):
        found = shown(user["address"])
        verdict.report("W009", f"address {found} of the user of {shown(name)} is no URI", at=at)


def is_rfc3339(value: object) -> bool:
    """Internet date/time, to the second, with a time zone; a date that exists."""
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return False
    day, minute, second = match.group(1, 2, 3)
    try:  # 60 is a leap second, which datetime does not know
        datetime.fromisoformat(f"{day}T{minute}:{'59' if second == '60' else second}")
    except ValueError:
        return day.startswith("0000-")  # RFC 3339 has a year 0, datetime has not
    return True


def check_numbers(reading: Reading, document: Mapping[str, Any], verdict: Verdict) -> None:
    """Version names are v1 to vn, all padded alike."""
    at = f"{reading.where}inventory.json"
    block = document.get("versions")
    if not isinstance(block, dict):
        return
    if not block:
        verdict.report("E008", "describes no version", at=at)
        return
    numbers: dict[int, str] = {}
    for name in block:
        number = version_number(name)
        if number is None:
            verdict.report(
                "E105" if name.startswith("v") else "E104", f"{shown(name)} is no version", at=at
            )
        elif number in numbers:
            verdict.report("E012", f"{shown(name)} and “{numbers[number]}” are one number", at=at)
        else:
            numbers[number] = name
    if numbers and 1 not in numbers:
        verdict.report("E009", f"the versions start at {shown(numbers[min(numbers)])}", at=at)
    if numbers and max(numbers) - min(numbers) + 1 != len(numbers):
        verdict.report("E010", "numbers are missing between the versions", at=at)
    if numbers:
        _check_padding(numbers, at, verdict)


def _check_padding(numbers: Mapping[int, str], at: str, verdict: Verdict) -> None:
    first = numbers[min(numbers)]
    padded = first.startswith("v0")
    if padded:
        verdict.report("W001", "version numbers are padded with zeros", at=at)
    for name in numbers.values():
        if padded and not name.startswith("v0"):
            verdict.report("E011", f"{shown(name)} beside “{first}”: no room for the zero", at=at)
        elif (padded and len(name) == len(first)) or (not padded and not name.startswith("v0")):
            continue
        for code in ("E012", "E013"):  # one fact; the specification has two sentences for it
            verdict.report(code, f"{shown(name)} is not named like “{first}”", at=at)


def check_head(reading: Reading, document: Mapping[str, Any], verdict: Verdict) -> None:
    """``head`` is the newest version; in a version's own inventory, that version."""
    at = f"{reading.where}inventory.json"
    if "head" not in document:
        return
    number = version_number(reading.head)
    numbers = [n for name in reading.versions if (n := version_number(name)) is not None]
    if number is None:
        verdict.report("E040", f"head is {shown(document['head'])}, no version", at=at)
    elif reading.head not in reading.versions:
        verdict.report("E040", f"head “{reading.head}” is not among the versions", at=at)
    elif number != max(numbers):
        verdict.report("E040", f"head “{reading.head}” is not the newest version", at=at)
    if reading.where and reading.head and f"{reading.head}/" != reading.where:
        verdict.report("E040", f"head is {shown(reading.head)}", at=at)


def read_states(
    versions: Mapping[str, Mapping[str, Any]], manifest: PathsByDigest, at: str, verdict: Verdict
) -> dict[str, PathsByDigest]:
    """The logical state of every version; each digest of the manifest is used by one."""
    states = {
        name: _read_state(name, version["state"], manifest, at, verdict)
        for name, version in versions.items()
        if "state" in version
    }
    used = {digest.lower() for state in states.values() for digest in state}
    for digest in manifest:
        if digest.lower() not in used:
            verdict.report("E107", f"no version uses {shown(digest)} of the manifest", at=at)
    return states


def _read_state(
    name: str, state: object, manifest: PathsByDigest, at: str, verdict: Verdict
) -> PathsByDigest:
    if not isinstance(state, dict):
        verdict.report("E050", f"state of {shown(name)} is {shown(state)}, not an object", at=at)
        return {}
    for digest in repeated_keys(state):
        verdict.report("E050", f"state of {shown(name)} has {shown(digest)} more than once", at=at)
    read = {}
    for digest, paths in state.items():
        if digest not in manifest:
            verdict.report("E050", f"{shown(digest)} of {shown(name)} is not in the manifest", at=at)
        read[digest] = read_paths(paths, f"state of {name[:20]}", "E051", "E051", at, verdict)
        check_plain(read[digest], "logical", "E053", "E052", at, verdict)
    report_conflicts([p for group in read.values() for p in group], "logical", "E095", at, verdict)
    return read
