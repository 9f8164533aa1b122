"""The formats of the whole archive: how much of each, how risky, how much of it not valid."""

from __future__ import annotations

from dataclasses import dataclass

from packages.package_file import FileFormat
from pipeline.formats.policy import FormatPolicy, Rule
from storage.catalogue import Catalogue, FormatCount

__all__ = ["FormatLine", "format_report", "rule_for_count"]


@dataclass(frozen=True, slots=True)
class FormatLine:
    """One format in all kept AIPs; ``bytes`` of content, ``aips`` that hold it."""

    puid: str
    name: str
    aips: int
    files: int
    bytes: int
    not_valid: int
    pages: int
    seconds: int
    risk: str
    decision: str
    preserve: str
    reason: str


def format_report(catalogue: Catalogue, policy: FormatPolicy) -> tuple[FormatLine, ...]:
    """Every format, most bytes first, with what the policy says of it today."""
    lines = []
    for count, aips in catalogue.formats.all():
        rule = rule_for_count(count, policy)
        lines.append(
            FormatLine(
                count.puid, count.name, aips, count.files, count.bytes, count.not_valid, count.pages,
                count.seconds,
                rule.risk, rule.decision, rule.preserve, rule.reason,
            )
        )  # fmt: skip
    return tuple(lines)


def rule_for_count(count: FormatCount, policy: FormatPolicy) -> Rule:
    """The rule for a format as the catalogue knows it."""
    puid = None if count.puid == "unknown" else count.puid
    return policy.rule_for(FileFormat(puid, count.name, "", count.mime, "", ""))
