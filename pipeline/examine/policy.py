"""What the agreement and the archive's format policy say about a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packages.problems.catalogue import problem
from pipeline.context import IngestContext
from pipeline.formats.policy import Decision
from pipeline.stage_report import StageReport

if TYPE_CHECKING:
    from pipeline.examine import ExaminedFile

__all__ = ["apply_policy", "decision_about"]


def decision_about(file: ExaminedFile, context: IngestContext) -> tuple[Decision, str]:
    """The agreement's word where it has one, else the policy's; and the reason."""
    agreed, puid = context.agreement.formats, file.known.puid or "unknown"
    name = f"agreement “{context.agreement.name}”"
    if puid in agreed.refused:
        return "refused", name
    if puid in agreed.review:
        return "review", name
    rule = context.tools.policy.rule_for(file.known)
    if puid in agreed.accepted:
        return "accepted", name
    return rule.decision, rule.reason


def apply_policy(file: ExaminedFile, context: IngestContext, report: StageReport) -> None:
    """Report what is not simply accepted; hold the package where an archivist must decide."""
    decision, reason = decision_about(file, context)
    if decision == "accepted":
        return
    said = f"{file.known.puid or 'unknown format'} {file.known.name}".strip()
    if decision == "refused":
        preferred = context.agreement.formats.preferred or "another format"
        report.add(problem("FMT-REFUSED", file.path, expected=preferred, found=said))
    elif decision == "review":
        report.add(problem("FMT-REVIEW", file.path, expected=reason, found=said))
        report.ask_review(f"{said}: {reason}")
    else:
        report.add(problem("FMT-RISK", file.path, expected=reason, found=said))
