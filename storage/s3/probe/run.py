"""Finding out on area objects what an S3 server really does.

Servers that speak the protocol differ in what they silently ignore: wrong digests, create-only
writes, locks. Some take a request they do not know for a plain write and replace the object by the
request's XML. So nothing is believed that was not seen here, on the very bucket that will be used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from storage.s3.client import S3Settings, s3_errors
from storage.s3.probe.area import ProbeArea, reason_of
from storage.s3.probe.capabilities import Answer, Capabilities, Check, CheckName
from storage.s3.probe.locks import (
    DANGEROUS_CALLS,
    find_lock,
    legal_hold,
    retention,
    retention_firm,
    retention_parts,
    sub_resource,
    versioning,
)
from storage.s3.probe.reads import etag, keys, multipart, plain, range_get, user_metadata
from storage.s3.probe.writes import (
    content_md5,
    create_only,
    create_only_parts,
    if_match,
    overwrite,
    payload_digest,
)

ProbeCheck = Callable[[ProbeArea], Check]
_CHECKS: tuple[tuple[CheckName, ProbeCheck], ...] = (
    (CheckName.PLAIN, plain),
    (CheckName.PAYLOAD, payload_digest),
    (CheckName.MD5, content_md5),
    (CheckName.ETAG, etag),
    (CheckName.RANGE, range_get),
    (CheckName.CREATE_ONLY, create_only),
    (CheckName.CREATE_ONLY_PARTS, create_only_parts),
    (CheckName.IF_MATCH, if_match),
    (CheckName.MULTIPART, multipart),
    (CheckName.OVERWRITE, overwrite),
    (CheckName.KEYS, keys),
    (CheckName.METADATA, user_metadata),
)

_LOCK_CHECKS = (
    CheckName.RETENTION,
    CheckName.RETENTION_FIRM,
    CheckName.RETENTION_PARTS,
    CheckName.LEGAL_HOLD,
)


def probe(settings: S3Settings, now: datetime, name: str = "s3") -> Capabilities:
    """ProbeCheck at one bucket through one endpoint; every area object is removed again.

    Raises StoreUnavailable or StoreRefused when objects cannot be written and read there at all.
    Whatever else goes wrong is a finding.
    """
    area = ProbeArea(settings, name)
    found: list[Check] = []
    try:
        with s3_errors(name, settings, area.root):
            lock = find_lock(area)  # first: a default retention would lock every area object
            area.put("first", b"is anybody there?")
            area.can_lock = lock.answer is not Answer.NO
            area.get("first")
        found.extend(_look_at_all(area, lock))
        with s3_errors(name, settings, area.root):  # no verdict on a server that went away
            area.get_or_none("first")
    finally:
        left = area.remove()
        area.close()
    found.append(_cleaned(left))
    return Capabilities(
        endpoint=settings.address,
        bucket=settings.bucket,
        prefix=settings.folder,
        server=area.server,
        probed_at=now.astimezone(UTC).replace(microsecond=0),
        requests=area.requests,
        checks=tuple(found),
    )


def _look_at_all(area: ProbeArea, lock: Check) -> Iterator[Check]:
    for name, look in _CHECKS:
        yield _attempt(name, look, area)
    yield _sub_resources(area)
    yield _attempt(CheckName.VERSIONING, versioning, area)
    yield lock
    if lock.answer is Answer.YES:
        yield from _locks(area)
    else:
        sentence = "Not tried: this bucket is not known to have object lock."
        for name in _LOCK_CHECKS:
            yield Check(name, lock.answer, sentence)


def _attempt(name: CheckName, check: ProbeCheck, area: ProbeArea) -> Check:
    """One check. Whatever a strange server makes the library do is an answer too."""
    try:
        return check(area)
    except Exception as error:
        return Check(name, Answer.UNKNOWN, f"Could not be tried: {reason_of(error)}.")


def _sub_resources(area: ProbeArea) -> Check:
    """Every call that a server may take for a plain write; the bytes are compared after each."""
    replaced, unsure = [], []
    for call in DANGEROUS_CALLS:
        try:
            if not sub_resource(area, call):
                replaced.append(call)
        except Exception as error:
            unsure.append(f"{call} ({reason_of(error)})")
    if replaced:
        calls = ", ".join(replaced)
        sentence = (
            f"The server answers {calls} by replacing the object with the request: records would be lost."
        )
        return Check(CheckName.SUB_RESOURCES, Answer.NO, sentence, dangerous=True)
    if unsure:
        sentence = f"The bytes could not be compared after {', '.join(unsure)}."
        return Check(CheckName.SUB_RESOURCES, Answer.UNKNOWN, sentence)
    sentence = f"{', '.join(DANGEROUS_CALLS)} leave the bytes alone."
    return Check(CheckName.SUB_RESOURCES, Answer.YES, sentence)


def _locks(area: ProbeArea) -> Iterator[Check]:
    yield _attempt(CheckName.RETENTION, retention, area)
    yield _attempt(CheckName.RETENTION_FIRM, retention_firm, area)
    yield _attempt(CheckName.RETENTION_PARTS, retention_parts, area)
    yield _attempt(CheckName.LEGAL_HOLD, legal_hold, area)


def _cleaned(left: list[str]) -> Check:
    if not left:
        return Check(CheckName.CLEAN, Answer.YES, "Every area object is removed.")
    sentence = f"{len(left)} area object(s) could not be removed, the first is {left[0]}."
    return Check(CheckName.CLEAN, Answer.NO, sentence)


__all__ = ["probe"]
