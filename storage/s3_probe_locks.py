"""Checks of the probe: versions, locks, and the calls that some servers take for a plain write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from storage.capabilities import Answer, Check, CheckName
from storage.s3_scratch import RETENTION, Scratch, reason_of, status_of

DANGEROUS_CALLS = ("?tagging", "?acl", "?legal-hold", "?retention")
_BYTES = b"these bytes must survive every call on this key"
_ABSENT = {"ObjectLockConfigurationNotFoundError", "InvalidRequest", "NoSuchObjectLockConfiguration"}


def find_lock(scratch: Scratch) -> Check:
    """Whether the bucket has object lock. A default retention is overruled for the scratch."""
    name = CheckName.OBJECT_LOCK
    try:
        answer = scratch.client.get_object_lock_configuration(Bucket=scratch.bucket)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _ABSENT or status_of(error) in (400, 404, 405, 501):
            return Check(name, Answer.NO, "The bucket has no object lock.")
        return Check(name, Answer.UNKNOWN, f"The bucket does not say: {reason_of(error)}.")
    except Exception as error:
        return Check(name, Answer.UNKNOWN, f"The bucket does not say: {reason_of(error)}.")
    configuration = answer.get("ObjectLockConfiguration", {})
    if configuration.get("ObjectLockEnabled") != "Enabled":
        return Check(name, Answer.NO, "The bucket has no object lock.")
    rule = configuration.get("Rule", {}).get("DefaultRetention")
    if not rule:
        return Check(name, Answer.YES, "The bucket has object lock, without a default retention.")
    scratch.locked = scratch.lock_for(RETENTION)
    length = f"{rule.get('Years')} years" if rule.get("Years") else f"{rule.get('Days')} days"
    sentence = f"The bucket has object lock; by default {rule.get('Mode')} for {length}."
    return Check(name, Answer.YES, sentence)


def versioning(scratch: Scratch) -> Check:
    """What the bucket says, and whether a write then has a version."""
    name = CheckName.VERSIONING
    try:
        status = scratch.client.get_bucket_versioning(Bucket=scratch.bucket).get("Status")
    except ClientError as error:
        answer = Answer.UNKNOWN if status_of(error) == 403 else Answer.NO
        return Check(name, answer, f"The bucket does not say: {reason_of(error)}.")
    version = scratch.put("versioned", b"x").get("VersionId")
    if status != "Enabled":
        state = "suspended" if status == "Suspended" else "off"
        return Check(name, Answer.NO, f"Versioning is {state}.")
    if not version:
        return Check(name, Answer.NO, "Versioning is said to be on, but a write gets no version.")
    return Check(name, Answer.YES, "Versioning is on.")


def sub_resource(scratch: Scratch, call: str) -> bool:
    """Make one of the dangerous calls on a scratch object: do its bytes survive?

    A refusal is as good as an answer, as long as the bytes are still there.
    """
    name = f"sub{call.replace('?', '-')}"
    version = scratch.put(name, _BYTES).get("VersionId")
    where: dict[str, Any] = {"Bucket": scratch.bucket, "Key": scratch.root + name}
    client = scratch.client
    with suppress(ClientError):
        if call == "?tagging":
            client.put_object_tagging(**where, Tagging={"TagSet": [{"Key": "probe", "Value": "1"}]})
        elif call == "?acl":
            client.put_object_acl(**where, ACL="private")
        elif call == "?legal-hold":
            client.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
        else:
            _retain(scratch, where, RETENTION)
    current = scratch.get_or_none(name)
    return current == _BYTES and (version is None or scratch.get(name, VersionId=version) == _BYTES)


def _retain(scratch: Scratch, where: dict[str, Any], duration: timedelta) -> None:
    asked = scratch.lock_for(duration)
    scratch.client.put_object_retention(
        **where,
        Retention={
            "Mode": asked["ObjectLockMode"],
            "RetainUntilDate": asked["ObjectLockRetainUntilDate"],
        },
    )


def retention(scratch: Scratch) -> Iterator[Check]:
    """A retention of a minute set by header: read back, enforced, not to be shortened."""
    asked = scratch.lock_for(RETENTION)
    version = scratch.put("retained", _BYTES, **asked).get("VersionId")
    where = _where(scratch, "retained", version)
    head = scratch.client.head_object(**where)
    until = head.get("ObjectLockRetainUntilDate")
    honoured = head.get("ObjectLockMode") == "GOVERNANCE" and _same(
        until, asked["ObjectLockRetainUntilDate"]
    )
    if not honoured:
        yield Check(CheckName.RETENTION, Answer.NO, "A retention set by header is not read back.")
        yield Check(CheckName.RETENTION_FIRM, Answer.UNKNOWN, "Not tried: there is no retention.")
        return
    if _deleted(scratch, where):
        yield Check(CheckName.RETENTION, Answer.NO, "An object under retention can be deleted.")
        yield Check(CheckName.RETENTION_FIRM, Answer.NO, "Retention is not enforced.")
        return
    sentence = "A retention (GOVERNANCE) set by header is read back, and deletion is refused."
    yield Check(CheckName.RETENTION, Answer.YES, sentence)
    yield _firm(scratch, where, until)


def _firm(scratch: Scratch, where: dict[str, Any], until: datetime | None) -> Check:
    name = CheckName.RETENTION_FIRM
    try:
        _retain(scratch, where, RETENTION / 2)
    except ClientError as error:
        if 400 <= status_of(error) < 500:
            return Check(name, Answer.YES, "Shortening a retention is refused.")
        return Check(name, Answer.UNKNOWN, f"Shortening a retention ended in {reason_of(error)}.")
    if _same(scratch.client.head_object(**where).get("ObjectLockRetainUntilDate"), until):
        return Check(name, Answer.YES, "Shortening a retention has no effect.")
    return Check(name, Answer.NO, "A retention can be shortened.")


def legal_hold(scratch: Scratch) -> Check:
    """A hold set by header, only after taking one off was seen to be permitted."""
    name = CheckName.LEGAL_HOLD
    version = scratch.put("held", _BYTES).get("VersionId")
    free: Any = {"LegalHold": {"Status": "OFF"}}
    try:
        scratch.client.put_object_legal_hold(**_where(scratch, "held", version), **free)
    except ClientError as error:
        sentence = f"Not tried, it could not be taken off again: {reason_of(error)}."
        return Check(name, Answer.UNKNOWN, sentence)
    version = scratch.put("held", _BYTES, ObjectLockLegalHoldStatus="ON").get("VersionId")
    where = _where(scratch, "held", version)
    try:
        shown = scratch.client.head_object(**where).get("ObjectLockLegalHoldStatus")
        if shown != "ON":
            return Check(name, Answer.NO, "A legal hold set by header is not read back.")
        if _deleted(scratch, where):
            return Check(name, Answer.NO, "An object under legal hold can be deleted.")
    finally:
        with suppress(ClientError):  # what stays because of it is reported as left behind
            scratch.client.put_object_legal_hold(**where, **free)
    if scratch.get("held") != _BYTES:
        sentence = "Taking off a legal hold changed the bytes."
        return Check(name, Answer.NO, sentence, dangerous=True)
    return Check(name, Answer.YES, "A legal hold set by header is read back, and deletion is refused.")


def _where(scratch: Scratch, name: str, version: str | None) -> dict[str, Any]:
    where = {"Bucket": scratch.bucket, "Key": scratch.root + name}
    return {**where, "VersionId": version} if version else where


def _deleted(scratch: Scratch, where: dict[str, Any]) -> bool:
    """Whether this very version can be deleted; whatever the answer says, the bytes decide."""
    with suppress(ClientError):
        scratch.client.delete_object(**where)
    try:
        answer = scratch.client.get_object(**where)
        return answer["Body"].read() != _BYTES
    except ClientError as error:
        if status_of(error) == 404:
            return True
        raise


def _same(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and abs(one - other) < timedelta(seconds=2)
