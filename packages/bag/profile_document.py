"""A BagIt profile (BagIt Profiles 1.4.0 and before): what two sides agreed about their bags, as its JSON.

A key that is not understood is refused when the profile is loaded: a constraint that both sides signed
must not be ignored in silence. Other programs' own profile formats (DART's, Bagger's) are such keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["profile_mistakes"]

_Rule = tuple[Callable[[Any], bool], str]


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


_TEXT: _Rule = (lambda value: isinstance(value, str), "a text")
_FLAG: _Rule = (lambda value: isinstance(value, bool), "true or false")
_LIST: _Rule = (_strings, "a list of texts")
_TABLE: _Rule = (lambda value: isinstance(value, dict), "an object")
_PACKING: _Rule = (
    lambda value: value in ("forbidden", "required", "optional"), "“forbidden”, “required” or “optional”"
)  # fmt: skip

_KEYS: Mapping[str, _Rule] = {
    "BagIt-Profile-Info": _TABLE, "Bag-Info": _TABLE,
    "Manifests-Required": _LIST, "Manifests-Allowed": _LIST,
    "Tag-Manifests-Required": _LIST, "Tag-Manifests-Allowed": _LIST, "Tag-Files-Required": _LIST,
    "Tag-Files-Allowed": _LIST, "Allow-Fetch.txt": _FLAG, "Fetch.txt-Required": _FLAG, "Data-Empty": _FLAG,
    "Serialization": _PACKING, "Accept-Serialization": _LIST, "Accept-BagIt-Version": _LIST,
}  # fmt: skip
_FIELD_KEYS: Mapping[str, _Rule] = {
    "required": _FLAG, "repeatable": _FLAG, "recommended": _FLAG, "values": _LIST, "description": _TEXT,
}  # fmt: skip


def profile_mistakes(profile: Any) -> Iterator[str]:
    """Every reason why a profile cannot be kept to here; none for one that can."""
    if not isinstance(profile, dict):
        yield "it is not a JSON object"
        return
    yield from _wrong(profile, _KEYS, "")
    if not _texts(profile.get("BagIt-Profile-Info")).get("BagIt-Profile-Identifier"):
        yield "BagIt-Profile-Info names no BagIt-Profile-Identifier"
    fields = profile.get("Bag-Info")
    for label, rule in (fields if isinstance(fields, dict) else {}).items():
        if isinstance(rule, dict):
            yield from _wrong(rule, _FIELD_KEYS, f"Bag-Info, {label}: ")
        else:
            yield f"Bag-Info, {label}: must be an object"
    if profile.get("Fetch.txt-Required") is True and profile.get("Allow-Fetch.txt") is False:
        yield "Fetch.txt-Required and Allow-Fetch.txt contradict each other"


def _wrong(table: Mapping[str, Any], rules: Mapping[str, _Rule], where: str) -> Iterator[str]:
    for key, value in table.items():
        if key not in rules:
            yield f"{where}“{key}” is no constraint of BagIt Profiles 1.4.0 that is known here"
        elif not rules[key][0](value):
            yield f"{where}{key} must be {rules[key][1]}"


def _texts(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
