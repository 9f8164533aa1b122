"""Stage 7: the answer to the agency: custody confirmed, or one complete list of what to fix."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from packages.escaping import for_markdown
from packages.package_file import timestamp
from packages.problems.problem import Severity
from pipeline.agreement import Agreement
from pipeline.context import Result
from storage.durable import write_durably
from storage.states import Outcome

__all__ = ["write_receipt"]

_SENTENCE = {
    Outcome.STORED: "The archive has taken these records into custody.",
    Outcome.DUPLICATE: "The archive holds exactly these records already; nothing was stored again.",
    Outcome.REJECTED: "The package could not be accepted. Please correct the errors below.",
    Outcome.IN_REVIEW: "An archivist will decide about this package.",
    Outcome.FAILED: "Something failed on the archive's side. You need do nothing; we try again.",
    Outcome.ACCEPTABLE: "The package would be accepted. Nothing was stored.",
}


def write_receipt(result: Result, agreement: Agreement, folder: Path, name: str) -> Result:
    """Write ``name.json`` for machines and ``name.md`` for people, durably; the result names the latter.

    Raises OSError.
    """
    readable = folder / (re.sub(r"[^\w.-]", "_", name) + ".md")
    result = replace(result, receipt=str(readable))
    facts = json.dumps(result.as_json(), ensure_ascii=False, indent=2) + "\n"
    write_durably(
        (readable, _as_markdown(result, agreement).encode()),
        (readable.with_suffix(".json"), facts.encode()),
    )
    return result


def _as_markdown(result: Result, agreement: Agreement) -> str:
    agency = f"{agreement.agency.name} {agreement.agency.identifier}".rstrip()
    lines = [
        f"# {'Receipt' if result.aip else 'Report'}: {for_markdown(Path(result.subject).name)}",
        "",
        _SENTENCE[result.outcome],
        "",
        f"- Outcome: **{result.outcome}**",
        f"- Agency: {for_markdown(agency)}",
        f"- Answerable at the agency: {for_markdown(agreement.agency.responsible or 'not named')}",
        f"- Archive: {for_markdown(agreement.archive.name)}",
        f"- Answerable at the archive: {for_markdown(agreement.archive.responsible or 'not named')}",
        f"- Agreement: {for_markdown(agreement.name)}, version {for_markdown(agreement.version)}",
        f"- Date: {timestamp(result.finished)}",
        f"- Content: {result.files} files, {result.bytes} bytes",
    ]
    if result.aip:
        lines.append(f"- Archival identifier: `{result.aip}`, version {result.version}")
    if result.reason:
        lines.append(f"- Reason: {for_markdown(result.reason)}")
    lines += _problems(result)
    lines += ["", "## Signatures", "", "For the agency: ____________________", ""]
    lines += ["For the archive: ____________________", ""]
    return "\n".join(lines)


def _problems(result: Result) -> list[str]:
    lines: list[str] = []
    counts = Counter(problem.severity for problem in result.problems)
    for severity, title in (
        (Severity.ERROR, "To be corrected"),
        (Severity.WARNING, "To be known"),
        (Severity.INFO, "For the record"),
    ):
        if counts[severity]:
            lines += ["", f"## {title} ({counts[severity]})", ""]
            lines += [
                f"- `{p.code}` {for_markdown(p.for_depositor)} ({for_markdown(p.clause)})"
                for p in result.problems
                if p.severity is severity
            ]
    return lines
