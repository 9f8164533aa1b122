"""The reports of flows as Markdown, with links to the dashboard and to filled-in forms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packages.escaping import for_markdown
from pipeline.formats.report import FormatLine
from stele.review import Waiting
from stele.settings import Settings
from storage.states import Outcome

__all__ = [
    "dashboard_link",
    "formats_markdown",
    "nightly_markdown",
    "plain",
    "results_markdown",
    "waiting_markdown",
]

_OUTCOMES = (Outcome.STORED, Outcome.DUPLICATE, Outcome.REJECTED, Outcome.IN_REVIEW, Outcome.FAILED)
_MAX_SHOWN = 200
_MAX_CHARS = 600


def plain(text: object) -> str:
    """Text from elsewhere that Markdown must show and not obey."""
    return for_markdown(str(text)[:_MAX_CHARS])


def results_markdown(results: Iterable[dict[str, Any]]) -> str:
    """What became of each submission."""
    lines = ["| Submission | Outcome | AIP | Why |", "|---|---|---|---|"]
    for result in list(results)[:_MAX_SHOWN]:
        errors = [p["for_depositor"] for p in result.get("problems", ()) if p["severity"] == "error"]
        why = result.get("reason") or "; ".join(errors[:5])
        aip = f"`{result['aip']}`" if result.get("aip") else ""
        lines.append(f"| {plain(result['subject'])} | **{result['outcome']}** | {aip} | {plain(why)} |")
    return "\n".join(lines)


def nightly_markdown(
    report: dict[str, Any], copies: dict[str, int], waiting: Iterable[Waiting], link: str
) -> str:
    """The report of a nightly run; ``link`` is the dashboard's address."""
    lines = [
        f"# The nightly run of {report['started']}",
        "",
        f"{report['files']:,} files, {report['bytes']:,} bytes ingested; "
        f"{report['not_started']} deliveries not started before the time limit, "
        f"{report['arriving']} still arriving, {report['already_processed']} processed before. "
        f"[Dashboard]({link}) · [this nightly run]({link}/nightly-runs/{report['nightly_run']})",
        "",
        "| Agency | " + " | ".join(_OUTCOMES) + " |",
        "|---" * (len(_OUTCOMES) + 1) + "|",
    ]
    for agency, counts in sorted(report["agencies"].items()):
        cells = " | ".join(str(counts.get(name, "")) for name in _OUTCOMES)
        lines.append(f"| {plain(agency)} | {cells} |")
    lines += [f"- drop box away: {plain(box)}" for box in report["unreachable_boxes"]]
    lines += [f"- not a delivery, left alone: {plain(path)}" for path in report.get("ignored", ())]
    said = ", ".join(f"{number} {what}" for what, number in copies.items() if number)
    lines += ["", f"Copies: {said or 'nothing was due'}", ""]
    slowest = [f"{plain(path)} ({seconds:.1f} s)" for path, seconds in report["slowest"]]
    lines += [f"Slowest: {', '.join(slowest)}", ""] if slowest else []
    return "\n".join([*lines, waiting_markdown(waiting, link)])


def waiting_markdown(waiting: Iterable[Waiting], link: str) -> str:
    """What waits for a decision, each with a link to where it is decided."""
    rows = list(waiting)
    if not rows:
        return "Nothing waits for a decision."
    lines = ["## Waiting for a decision", "", "| | What was found | |", "|---|---|---|"]
    for one in rows[:_MAX_SHOWN]:
        page = "removals" if one.kind == "removal" else f"submissions/{one.id}"
        found = plain("; ".join(one.found))
        lines.append(f"| {plain(one.subject)} | {found} | [decide]({link}/{page}) |")
    return "\n".join(lines)


def formats_markdown(formats: Iterable[FormatLine]) -> str:
    """What is kept in which formats."""
    lines = ["| Format | PUID | Risk | Files | Bytes | Not valid |", "|---|---|---|---|---|---|"]
    for one in formats:
        lines.append(
            f"| {plain(one.name)} | {one.puid} | {one.risk} | {one.files:,} | {one.bytes:,} | "
            f"{one.not_valid:,} |"
        )
    return "\n".join(lines)


def dashboard_link(settings: Settings) -> str:
    """Where people reach the dashboard."""
    wanted = settings.dashboard
    if wanted.names:
        return f"{'https' if wanted.https else 'http'}://{wanted.names[0]}"
    return f"http://{wanted.host}:{wanted.port}"
