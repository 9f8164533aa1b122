"""What a store's server has been seen to do, and what follows for writing to it.

Plain values with a JSON form; how they are found out is the probe's business.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

FORMAT = 1
"""Version of the JSON form and of the set of checks; a kept result of another one is void."""


class Answer(StrEnum):
    """How a check ended."""

    YES = "yes"  # seen to work
    NO = "no"  # seen not to work, or refused
    UNKNOWN = "unknown"  # could not be tried with this bucket or these credentials


class CheckName(StrEnum):
    """What is looked at, in the order it is reported."""

    PLAIN = "put and get"  # bytes come back as they were written
    PAYLOAD = "payload digest"  # a body that is not what was signed is refused
    MD5 = "content-md5"  # a wrong Content-MD5 is refused
    ETAG = "etag"  # one tag for the same bytes, another for others
    RANGE = "range get"  # the bytes that were asked for
    CREATE_ONLY = "create-only put"  # If-None-Match on PutObject
    CREATE_ONLY_PARTS = "create-only multipart"  # If-None-Match on CompleteMultipartUpload
    IF_MATCH = "if-match"  # replaces only the version named
    MULTIPART = "multipart"  # parts become the right bytes
    OVERWRITE = "overwrite"  # readers see the old or the new, and a dying writer destroys nothing
    KEYS = "keys"  # odd and long keys come back as given
    METADATA = "user metadata"  # how much of it is kept
    SUB_RESOURCES = "sub-resources"  # ?tagging, ?acl, ?legal-hold, ?retention leave the bytes alone
    VERSIONING = "versioning"  # old versions are kept
    OBJECT_LOCK = "object lock"  # the bucket was made with it
    RETENTION = "retention"  # set by header, read back, deletion refused
    RETENTION_FIRM = "retention is firm"  # it cannot be shortened
    RETENTION_PARTS = "retention multipart"  # set by header when a multipart upload is begun
    LEGAL_HOLD = "legal hold"  # set by header, read back, deletion refused
    CLEAN = "area removed"  # nothing of the probe is left


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. ``dangerous``: what was seen would destroy or falsify an archive."""

    name: CheckName
    answer: Answer
    sentence: str
    dangerous: bool = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The result of one probe of one bucket and prefix through one endpoint."""

    endpoint: str
    bucket: str
    prefix: str
    server: str
    probed_at: datetime
    requests: int
    checks: tuple[Check, ...]

    def answer(self, name: CheckName) -> Answer:
        """How a check ended; unknown for one that was not made."""
        return next((check.answer for check in self.checks if check.name is name), Answer.UNKNOWN)

    def proven(self, name: CheckName) -> bool:
        """Whether it was seen to work."""
        return self.answer(name) is Answer.YES

    @property
    def dangers(self) -> tuple[str, ...]:
        """Why nothing may be archived here; empty when it may."""
        return tuple(check.sentence for check in self.checks if check.dangerous)

    def as_json(self) -> dict[str, Any]:
        """Stable keys; the opposite of ``capabilities_from_json``."""
        return {**asdict(self), "format": FORMAT, "probed_at": self.probed_at.isoformat()}


def capabilities_from_json(text: str) -> Capabilities:
    """A result that was kept. Raises ValueError for anything else, also one of another format."""
    try:
        record = json.loads(text)
        if record.pop("format") != FORMAT:
            raise ValueError("made by another version of the probe")
        checks = tuple(
            Check(CheckName(c["name"]), Answer(c["answer"]), c["sentence"], bool(c["dangerous"]))
            for c in record.pop("checks")
        )
        probed_at = datetime.fromisoformat(record.pop("probed_at")).astimezone(UTC)
        return Capabilities(**record, checks=checks, probed_at=probed_at)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no probe result: {error}") from error


VerifyWrites = Literal["auto", "read-back", "signed"]


@dataclass(frozen=True, slots=True)
class WriteRules:
    """How to write to a store: only what was proved is relied on."""

    read_back: bool
    create_only: bool
    create_only_parts: bool
    content_md5: bool
    retention: bool
    retention_parts: bool
    legal_hold: bool


def write_rules(found: Capabilities | None, verify: VerifyWrites) -> WriteRules:
    """What follows from a probe, or from none.

    ``signed`` is the operator's word, which a probe that saw the contrary overrules.
    """
    if found is None:
        return WriteRules(verify != "signed", False, False, False, False, False, False)
    wanted = (Answer.YES, Answer.UNKNOWN) if verify == "signed" else (Answer.YES,)
    signed = verify != "read-back" and found.answer(CheckName.PAYLOAD) in wanted
    return WriteRules(
        read_back=not signed,
        create_only=found.proven(CheckName.CREATE_ONLY),
        create_only_parts=found.proven(CheckName.CREATE_ONLY_PARTS),
        # AWS wants it on every write that carries a retention, so wherever there can be one; and it
        # is what keeps some servers from storing the half that a dying writer sent.
        content_md5=found.proven(CheckName.OBJECT_LOCK) or found.answer(CheckName.OVERWRITE) is Answer.NO,
        retention=found.proven(CheckName.RETENTION),
        retention_parts=found.proven(CheckName.RETENTION_PARTS),
        legal_hold=found.proven(CheckName.LEGAL_HOLD),
    )
