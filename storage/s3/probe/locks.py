"""Checks of the probe: versions, locks, and the calls that some servers take for a plain write."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from storage.s3.probe.area import RETENTION, Scratch, reason_of, status_of
from storage.s3.probe.capabilities import Answer, Check, CheckName

DANGEROUS_CALLS = ("?tagging", "?acl", "?legal-hold", "?retention")
_BYTES = b"these bytes must survive every call on this key"
_SAME = timedelta(seconds=2)
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
    if rule.get("Mode") != "GOVERNANCE":
        # Ceph 16 gives an object sent in parts the default retention, whatever was asked for.
        scratch.parts_stay_locked = f"Not tried: by default the scratch could stay locked for {length}."
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


def retention(scratch: Scratch) -> Check:
    """A retention of a minute set by header must be read back, and deletion refused."""
    name = CheckName.RETENTION
    where, asked = _retained(scratch, "retained")
    if not _locked_as(scratch, where, asked):
        return Check(name, Answer.NO, "A retention set by header is not read back.")
    if _deleted(scratch, where):
        return Check(name, Answer.NO, "An object under retention can be deleted.")
    sentence = "A retention (GOVERNANCE) set by header is read back, and deletion is refused."
    return Check(name, Answer.YES, sentence)


def retention_firm(scratch: Scratch) -> Check:
    """A retention must not get shorter."""
    name = CheckName.RETENTION_FIRM
    where, asked = _retained(scratch, "firm")
    if not _locked_as(scratch, where, asked):
        return Check(name, Answer.UNKNOWN, "Not tried: there is no retention.")
    try:
        _retain(scratch, where, RETENTION / 2)
    except ClientError as error:
        if not 400 <= status_of(error) < 500:
            return Check(name, Answer.UNKNOWN, f"Shortening a retention ended in {reason_of(error)}.")
    if _locked_as(scratch, where, asked):
        return Check(name, Answer.YES, "A retention cannot be shortened.")
    return Check(name, Answer.NO, "A retention can be shortened.")


def retention_parts(scratch: Scratch) -> Check:
    """A retention set when a multipart upload is begun must be read back from the object."""
    name = CheckName.RETENTION_PARTS
    if scratch.parts_stay_locked:
        return Check(name, Answer.UNKNOWN, scratch.parts_stay_locked)
    asked = scratch.lock_for(RETENTION)
    upload, key = scratch.begin("retained-parts", **asked), scratch.root + "retained-parts"
    tag = scratch.client.upload_part(
        Bucket=scratch.bucket, Key=key, UploadId=upload, PartNumber=1, Body=_BYTES
    )["ETag"]
    version = scratch.client.complete_multipart_upload(
        Bucket=scratch.bucket, Key=key, UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]},
    ).get("VersionId")  # fmt: skip
    if _locked_as(scratch, _where(scratch, "retained-parts", version), asked):
        return Check(name, Answer.YES, "A retention set when parts are begun is read back.")
    return Check(name, Answer.NO, "A retention set when parts are begun is ignored.")


def _retained(scratch: Scratch, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new object under retention: where it is, and what was asked for."""
    asked = scratch.lock_for(RETENTION)
    return _where(scratch, name, scratch.put(name, _BYTES, **asked).get("VersionId")), asked


def _locked_as(scratch: Scratch, where: dict[str, Any], asked: dict[str, Any]) -> bool:
    head = scratch.client.head_object(**where)
    until = head.get("ObjectLockRetainUntilDate")
    if until is None or head.get("ObjectLockMode") != asked["ObjectLockMode"]:
        return False
    return bool(abs(until - asked["ObjectLockRetainUntilDate"]) < _SAME)


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
