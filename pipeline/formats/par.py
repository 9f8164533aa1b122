"""Business rules of PAR (Preservation Action Registries, OPF) as rules of our format policy.

A PAR rule names formats, kinds of action and actions that some registry describes; which of our
converters does the same is a person's decision, so the rules come out as text to be looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.formats.policy import PolicyError

__all__ = ["ParRule", "as_toml", "read_par"]

_PUID = re.compile(r"(x-)?fmt/\d+")
_CHANGES = ("migration", "normali", "access", "dissemination", "/mig", "/nor")


@dataclass(frozen=True, slots=True)
class ParRule:
    """A business rule as far as a format policy can use it."""

    name: str
    description: str
    notes: str
    puids: tuple[str, ...]
    types: tuple[str, ...]
    actions: tuple[str, ...]

    @property
    def converts(self) -> bool:
        """Whether it asks for other files to be made, not only for a check."""
        return any(word in kind.lower() for kind in self.types for word in _CHANGES)


def read_par(path: Path) -> tuple[ParRule, ...]:
    """The business rules of a file: one rule, a list, or an answer of a registry's API.

    Raises PolicyError for anything else.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        rules = tuple(_rule(record) for record in _records(found))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PolicyError(f"{path} is no PAR business rule: {type(error).__name__}: {error}") from error
    if not rules:
        raise PolicyError(f"{path} holds no PAR business rule")
    return rules


def _records(found: Any) -> Iterator[dict[str, Any]]:
    if isinstance(found, list):
        for one in found:
            yield from _records(one)
        return
    for key in ("businessRules", "items", "results"):
        if isinstance(found.get(key), list):
            yield from _records(found[key])
            return
    if "preservationActions" in found or "formats" in found or "formatFamilies" in found:
        yield found


def _rule(record: dict[str, Any]) -> ParRule:
    identifier = record["id"]
    formats = list(record.get("formats", ()))
    for family in record.get("formatFamilies", ()):
        formats += family.get("formats", ()) or family.get("fileFormats", ())
    puids = dict.fromkeys(one["name"] for one in formats if _PUID.fullmatch(str(one.get("name", ""))))
    types = (
        f"{one.get('label', '')} {one.get('id', {}).get('name', '')}".strip()
        for one in record.get("preservationActionTypes", ())
    )
    actions = (
        str(one["preservationAction"].get("name") or one["preservationAction"].get("guid"))
        for one in record.get("preservationActions", ())
    )
    return ParRule(
        str(identifier.get("name") or identifier["guid"]),
        str(record.get("description", "")),
        str(record.get("notes", "")),
        tuple(puids),
        tuple(types),
        tuple(actions),
    )


def as_toml(rule: ParRule, converter: str = "") -> str:
    """The rule for ``format-policy.toml``; without a converter it only says what PAR asks for."""
    said = rule.description or f"PAR rule {rule.name}"
    reason = f"{said} {rule.notes}".strip()
    types, actions = ", ".join(rule.types), ", ".join(rule.actions)
    lines = [
        f"# PAR: {types or 'no kind of action'}; actions {actions or 'none'}",
        "[[rule]]",
        f"name = {_quoted(f'PAR {rule.name}')}",
        f"puids = {json.dumps(list(rule.puids))}",
        f"preserve = {_quoted(converter if rule.converts else '')}",
        f"reason = {_quoted(reason)}",
    ]
    return "\n".join(lines).replace("\r", " ") + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's."""
    return json.dumps(" ".join(text.split()), ensure_ascii=False).replace("\x7f", "\\u007f")
