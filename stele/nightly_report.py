"""The report of a nightly run, sent to who should read it: by webhook and by mail."""

from __future__ import annotations

import http.client
import json
import smtplib
import ssl
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any
from urllib.parse import urlsplit

from packages.escaping import for_mail_header
from packages.paths import visible
from stele.settings import MailSettings, Settings

__all__ = ["report_text", "send_report"]

_TIMEOUT_S = 20.0  # seconds for a server
_OUTCOMES = ("failed", "in-review", "rejected", "stored", "duplicate")
_NEEDS = {
    "failed": "failed on our side and are tried again the next nightly run",
    "in-review": "wait for an archivist's decision (stele review list)",
    "rejected": "were rejected; their agencies have a report",
}


def send_report(summary: dict[str, Any], settings: Settings) -> str:
    """Send it where the workspace says; why it could not be sent, or nothing.

    A morning without the message must not look like one without the nightly run: that is in the catalogue.
    """
    unsent = (_by_webhook(summary, settings.nightly.webhook), _by_mail(summary, settings))
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
    for name in ("copies not made", "damaged", "unreadable"):
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


def _by_webhook(summary: dict[str, Any], address: str) -> str:
    if not address:
        return ""
    body = json.dumps(summary, ensure_ascii=False).encode("utf-8", "backslashreplace")
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
            return ""
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"the report could not be sent to {urlsplit(address).hostname}: {error}"


def _by_mail(summary: dict[str, Any], settings: Settings) -> str:
    wanted = settings.nightly.mail
    if not wanted.host or not wanted.recipients:
        return ""
    try:
        with _server(wanted) as server:
            if wanted.user:
                server.login(wanted.user, wanted.password.get_secret_value())
            lost = server.send_message(_message(summary, settings))
    except (OSError, smtplib.SMTPException) as error:
        return f"the report could not be mailed by {wanted.host}: {error}"
    refused = ", ".join(sorted(lost))
    return f"the report could not be mailed to {refused}" if refused else ""


def _message(summary: dict[str, Any], settings: Settings) -> EmailMessage:
    wanted, outcomes = settings.nightly.mail, summary.get("outcomes", {})
    message = EmailMessage()
    said = ", ".join(f"{outcomes[name]} {name}" for name in _OUTCOMES if outcomes.get(name))
    message["Subject"] = for_mail_header(f"{settings.archive_name}: {said or 'nothing was taken in'}")
    message["From"] = wanted.sender
    message["To"] = ", ".join(wanted.recipients)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=wanted.sender.partition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(report_text(summary))
    return message


def _server(wanted: MailSettings) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if wanted.security == "tls":
        return smtplib.SMTP_SSL(wanted.host, wanted.port, timeout=_TIMEOUT_S, context=context)
    server = smtplib.SMTP(wanted.host, wanted.port, timeout=_TIMEOUT_S)
    if wanted.security == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server
