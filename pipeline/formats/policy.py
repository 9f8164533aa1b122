"""The format policy: what the archive accepts, what it fears, and what it turns it into. Data, no code.

Rules are read from the workspace first, then from ``config/format-policy.toml``; the first that fits
decides. An agreement may say otherwise for its agency.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from packages.package_file import FileFormat
from pipeline.errors import PipelineError

__all__ = ["Decision", "FormatPolicy", "PolicyError", "Rule", "load_policy"]

Decision = Literal["accepted", "warned", "review", "refused"]


class PolicyError(PipelineError):
    """A policy file is wrong; the message names it and lists every mistake."""


class Rule(BaseModel):
    """What holds for some formats."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What these formats are, for people.")
    puids: tuple[str, ...] = Field(default=(), description="PUIDs; “unknown” for what nobody knows.")
    mime: tuple[str, ...] = Field(default=(), description="Media types, * allowed.")
    decision: Decision = "accepted"
    risk: Literal["low", "medium", "high"] = "medium"
    reason: str = Field(min_length=1, description="Why; it is shown to agencies and archivists.")
    validator: Literal["required", "optional", "off"] = Field(
        default="optional", description="“required”: what is not shown to be valid goes to review."
    )
    preserve: str = Field(default="", description="Converter for a preservation copy; empty = none.")
    access: str = Field(default="", description="Converter for an access copy; empty = none.")

    @model_validator(mode="after")
    def _fits_something(self) -> Rule:
        if not self.puids and not self.mime:
            raise ValueError("a rule needs puids or mime")
        return self

    def fits(self, known: FileFormat) -> bool:
        """Whether it is about this format."""
        return (known.puid or "unknown") in self.puids or any(
            fnmatchcase(known.mime, pattern) for pattern in self.mime
        )


_SILENT = Rule(name="other", puids=("*",), reason="The policy says nothing about this format.")


class FormatPolicy:
    """Rules in the order in which they are asked."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._decide = lru_cache(maxsize=4096)(self._first)

    def rule_for(self, known: FileFormat) -> Rule:
        """The rule that decides about a format."""
        return self._decide(known)

    def _first(self, known: FileFormat) -> Rule:
        return next((rule for rule in self.rules if rule.fits(known)), _SILENT)


def load_policy(paths: Sequence[Path]) -> FormatPolicy:
    """The rules of all files that exist, in that order. Raises PolicyError."""
    rules: list[Rule] = []
    for path in paths:
        if not path.is_file():
            continue
        try:
            tables = tomllib.loads(path.read_text("utf-8")).get("rule", [])
            rules += [Rule.model_validate(table) for table in tables]
        except ValidationError as error:
            said = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors())
            raise PolicyError(f"format policy {path}: {said}") from error
        except (OSError, ValueError) as error:
            raise PolicyError(f"format policy {path}: {error}") from error
    return FormatPolicy(rules)
