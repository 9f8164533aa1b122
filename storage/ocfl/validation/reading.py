"""An inventory as far as it could be understood: every value in here has the type it should have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PathsByDigest = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the later rules work on; what had a wrong type was reported and left out."""

    where: str
    """Folder of the inventory in the object: ``""``, ``v1/``…"""
    object_id: str
    spec: str
    """The OCFL version of its ``type``; empty when that is none we know."""
    algorithm: str
    head: str
    content_directory: str
    """Empty when the value cannot be a folder's name."""
    names_content_directory: bool
    manifest: PathsByDigest
    fixity: Mapping[str, PathsByDigest]
    versions: Mapping[str, Mapping[str, Any]]
    states: Mapping[str, PathsByDigest]


class Repeating(dict[str, Any]):
    """A JSON object in which keys occurred more than once; the last value counts."""

    repeated: tuple[str, ...] = ()


def repeated_keys(value: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that a JSON object had more than once."""
    return value.repeated if isinstance(value, Repeating) else ()


def parse_json(raw: bytes) -> Any:
    """Read strict JSON in UTF-8 (RFC 8259). Raises ValueError for anything else, however nested."""
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    seen: set[str] = set()
    again = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    repeating = Repeating(made)
    repeating.repeated = tuple(dict.fromkeys(again))
    return repeating


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def shown(value: object) -> str:
    """A value of a stranger in a sentence: its text where it is short and flat, else its kind."""
    if isinstance(value, str):
        return f"“{value[:80]}”"
    if value is None or isinstance(value, bool | float):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a huge number"
    return "an array" if isinstance(value, list) else "an object"


def conflicts(paths: Iterable[str]) -> list[str]:
    """The paths below a path that is itself a file."""
    known = set(paths)
    return [path for path in known if any(parent in known for parent in _parents(path))]


def _parents(path: str) -> Iterable[str]:
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)
