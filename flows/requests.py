"""The forms of the Prefect UI: one model a deployment; what it may not say, its schema refuses."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from pipeline.review.decisions import Decision

__all__ = [
    "AuditRequest",
    "DecisionRequest",
    "DipRequest",
    "IngestRequest",
    "NightlyRequest",
    "UpkeepRequest",
    "UpkeepTask",
]

# In the drop box and nowhere else: no way out, no root, no drive. The form shows the pattern when it
# is broken, so the description says in words what it asks for. Links are looked at again by the flow.
_BELOW = r"^(?![/\\~])(?!.*(^|[/\\])\.\.([/\\]|$))[^\x00-\x1f]+$"
_AIP = r"^\s*(urn:uuid:|uuid-)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\s*$"
_NAME = r"\S"


class _Form(BaseModel):
    # Python's expressions, for Rust's cannot look ahead.
    model_config = ConfigDict(frozen=True, extra="forbid", regex_engine="python-re")


Delivery = Annotated[str, Field(pattern=_BELOW, max_length=4096)]


class IngestRequest(_Form):
    """Take in deliveries that lie in the drop box, now."""

    deliveries: list[Delivery] = Field(
        min_length=1,
        max_length=1000,
        description="Paths below the drop box, for instance county-office/2026-minutes.zip. "
        "Nothing outside the drop box: no leading /, no .. in it.",
    )
    agreement: str = Field(
        default="", pattern=r"^[a-z0-9-]*$",
        description="Submission agreement by name; empty: that of the agency's folder, else the default.",
    )  # fmt: skip


class DipRequest(_Form):
    """Build a package for use (DIP) from an AIP."""

    aip: str = Field(pattern=_AIP, description="The AIP: urn:uuid:…, uuid-… or the bare UUID.")
    access_copies: bool = Field(
        default=False, description="Add PDF, JPEG, MP3, MP4 copies as the format policy wants them."
    )
    person: str = Field(
        default="", max_length=200, description="For closed records only: your name, who lets them leave."
    )
    reason: str = Field(
        default="", max_length=2000, description="For closed records only: why; it is kept."
    )


class NightlyRequest(_Form):
    """What the schedule runs each night; start it here to run it now."""

    care: bool = Field(default=True, description="Also create pending copies, and audit what is due.")
    retry_in_review: bool = Field(
        default=False, description="Take deliveries in review again: policy or agreement has changed."
    )


class AuditRequest(_Form):
    """Read copies again, byte by byte, those first that were not checked for longest."""

    max_hours: float = Field(default=0, ge=0, le=168, description="0: as the workspace is configured.")
    repair: bool = Field(
        default=False, description="Repair damage at once from a good copy, whatever is configured."
    )


class UpkeepTask(StrEnum):
    """What there is to do for the copies."""

    REPLICATE = "replicate"
    RECONCILE = "reconcile"
    FORMATS = "format report"


class UpkeepRequest(_Form):
    """Look after copies and catalogue."""

    task: UpkeepTask = Field(
        default=UpkeepTask.REPLICATE,
        description="replicate: create pending copies. reconcile: compare stores and catalogue both ways. "
        "format report: what is kept in which formats, how risky.",
    )


class DecisionRequest(_Form):
    """Decide about a submission in review, or as the second person about a removal."""

    number: str = Field(
        pattern=r"^\s*([0-9a-f]{40}|urn:uuid:[0-9a-fA-F-]{36})\s*$",
        title="Number",
        description="Of the submission in review, or the AIP whose removal is asked for; the dashboard's "
        "links fill it in.",
    )
    found: str = Field(default="", title="What was found", description="Read-only.")
    decision: Decision = Field(
        description="accept: despite the findings. reject: the agency gets a report with your reason. "
        "keep: it stays in review, your reason is noted."
    )
    reason: str = Field(
        min_length=3, max_length=2000, pattern=_NAME, description="Kept with the records for good."
    )
    person: str = Field(
        min_length=2, max_length=200, pattern=_NAME,
        description="Your name. Where two people must agree, each fills in this form.",
    )  # fmt: skip
