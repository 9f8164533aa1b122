"""The report of a nightly run, sent to who should read it: as JSON to a webhook, in words to people."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import apprise
import httpx
from pydantic import SecretStr

from packages.escaping import for_mail_header
from packages.paths import visible
from stele.settings import Settings
from storage.states import CopyState, Outcome

__all__ = ["report_text", "send_report", "unreadable_addresses"]

_TIMEOUT_S = 20.0  # seconds for a server
_OUTCOMES = (Outcome.FAILED, Outcome.IN_REVIEW, Outcome.REJECTED, Outcome.STORED, Outcome.DUPLICATE)
_NEEDS = {
    Outcome.FAILED: "failed on our side and are tried again the next nightly run",
    Outcome.IN_REVIEW: "wait for an archivist's decision (stele review list)",
    Outcome.REJECTED: "were rejected; their agencies have a report",
}


def send_report(summary: dict[str, Any], settings: Settings) -> str:
    """Send it where the workspace says; why it could not be sent, or nothing.

    A morning without the message must not look like one without the nightly run: that is in the catalogue.
    """
    unsent = (_to_webhook(summary, settings.nightly.webhook), *_to_people(summary, settings))
    return "; ".join(filter(None, unsent))


def report_text(summary: dict[str, Any]) -> str:
    """The report in words: first what needs attention."""
    return "\n".join(_lines(summary))


def _lines(summary: dict[str, Any]) -> Iterator[str]:
    outcomes: dict[str, int] = summary.get("outcomes", {})
    yield f"The nightly run of {summary.get('started', '')} to {summary.get('finished', '')}."
    yield ""
    needs = [f"  {outcomes[name]} {what}" for name, what in _NEEDS.items() if outcomes.get(name)]
    needs += [f"  drop box {visible(box)}" for box in summary.get("unreachable_boxes", ())]
    for name in ("copies not made", CopyState.DAMAGED, CopyState.UNREADABLE):
        needs += [f"  {name}: {summary[name]}"] if summary.get(name) else []
    if summary.get("not_started"):
        needs.append(
            f"  {summary['not_started']} complete deliveries were not started before the time limit"
        )
    yield from (["Needs attention:", *needs] if needs else ["Nothing needs attention."])
    yield ""
    yield f"Stored {outcomes.get('stored', 0)}, duplicates {outcomes.get('duplicate', 0)}; "
    yield f"{summary.get('files', 0):,} files, {summary.get('bytes', 0):,} bytes taken in; "
    yield f"{summary.get('arriving', 0)} deliveries still arriving."
    yield ""
    for agency, counts in sorted(summary.get("agencies", {}).items()):
        said = ", ".join(f"{counts[name]} {name}" for name in _OUTCOMES if counts.get(name))
        yield f"  {visible(agency)}: {said}"


def _to_webhook(summary: dict[str, Any], address: str) -> str:
    if not address:
        return ""
    body = json.dumps(summary, ensure_ascii=False).encode("utf-8", "backslashreplace")
    try:
        answer = httpx.post(
            address, content=body, headers={"Content-Type": "application/json"}, timeout=_TIMEOUT_S
        )
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"the report could not be sent to {urlsplit(address).hostname}: {error}"
    return ""


def _to_people(summary: dict[str, Any], settings: Settings) -> Iterator[str]:
    """Each address by itself, so that one that fails keeps the report from nobody else."""
    outcomes = summary.get("outcomes", {})
    said = ", ".join(f"{outcomes[name]} {name}" for name in _OUTCOMES if outcomes.get(name))
    title = for_mail_header(f"{settings.archive_name}: {said or 'nothing was ingested'}")
    for number, address in enumerate(settings.nightly.notify, 1):
        channel = _channel(address)
        if channel is None:
            yield f"address {number} of [nightly] notify is none that Apprise knows"
            continue
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as told:  # type: ignore[no-untyped-call]
            one = apprise.Apprise([channel])  # which escapes the text for a channel that wants HTML
            sent = one.notify(body=report_text(summary), title=title, body_format=apprise.NotifyFormat.TEXT)
        if not sent:
            reason = "; ".join(told.getvalue().split("\n")).strip("; ")
            yield f"the report could not be sent to {_public(channel)}: {reason or 'no reason was given'}"


def _channel(address: SecretStr) -> apprise.NotifyBase | None:
    """What an address stands for; None when Apprise does not know it."""
    return apprise.Apprise.instantiate(address.get_secret_value(), suppress_exceptions=True)


def _public(channel: apprise.NotifyBase) -> str:
    """An address without its passwords and tokens."""
    return str(channel.url(privacy=True)).partition("?")[0]  # type: ignore[no-untyped-call]


def unreadable_addresses(settings: Settings) -> list[int]:
    """Which of ``[nightly] notify`` (1, 2…) are no addresses that Apprise knows."""
    return [
        number for number, address in enumerate(settings.nightly.notify, 1) if _channel(address) is None
    ]
