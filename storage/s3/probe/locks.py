"""Checks of the probe: versions, locks, and the calls that some servers take for a plain write."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from storage.s3.probe.area import RETENTION, ProbeArea, reason_of, status_of
from storage.s3.probe.capabilities import Answer, Check, CheckName

DANGEROUS_CALLS = ("?tagging", "?acl", "?legal-hold", "?retention")
_BYTES = b"these bytes must survive every call on this key"
_SAME = timedelta(seconds=2)
_ABSENT = {"ObjectLockConfigurationNotFoundError", "InvalidRequest", "NoSuchObjectLockConfiguration"}


def find_lock(area: ProbeArea) -> Check:
    """Whether the bucket has object lock. A default retention is overruled for the area."""
    name = CheckName.OBJECT_LOCK
    try:
        answer = area.client.get_object_lock_configuration(Bucket=area.bucket)
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
    area.locked = area.lock_for(RETENTION)
    length = f"{rule.get('Years')} years" if rule.get("Years") else f"{rule.get('Days')} days"
    sentence = f"The bucket has object lock; by default {rule.get('Mode')} for {length}."
    if rule.get("Mode") != "GOVERNANCE":
        # Ceph 16 gives an object sent in parts the default retention, whatever was asked for.
        area.parts_stay_locked = f"Not tried: by default the area could stay locked for {length}."
    return Check(name, Answer.YES, sentence)


def versioning(area: ProbeArea) -> Check:
    """What the bucket says, and whether a write then has a version."""
    name = CheckName.VERSIONING
    try:
        status = area.client.get_bucket_versioning(Bucket=area.bucket).get("Status")
    except ClientError as error:
        answer = Answer.UNKNOWN if status_of(error) == 403 else Answer.NO
        return Check(name, answer, f"The bucket does not say: {reason_of(error)}.")
    version = area.put("versioned", b"x").get("VersionId")
    if status != "Enabled":
        state = "suspended" if status == "Suspended" else "off"
        return Check(name, Answer.NO, f"Versioning is {state}.")
    if not version:
        return Check(name, Answer.NO, "Versioning is said to be on, but a write gets no version.")
    return Check(name, Answer.YES, "Versioning is on.")


def sub_resource(area: ProbeArea, call: str) -> bool:
    """Make one of the dangerous calls on a area object: do its bytes survive?

    A refusal is as good as an answer, as long as the bytes are still there.
    """
    name = f"sub{call.replace('?', '-')}"
    version = area.put(name, _BYTES).get("VersionId")
    where: dict[str, Any] = {"Bucket": area.bucket, "Key": area.root + name}
    client = area.client
    with suppress(ClientError):
        if call == "?tagging":
            client.put_object_tagging(**where, Tagging={"TagSet": [{"Key": "probe", "Value": "1"}]})
        elif call == "?acl":
            client.put_object_acl(**where, ACL="private")
        elif call == "?legal-hold":
            client.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
        else:
            _retain(area, where, RETENTION)
    current = area.get_or_none(name)
    return current == _BYTES and (version is None or area.get(name, VersionId=version) == _BYTES)


def _retain(area: ProbeArea, where: dict[str, Any], duration: timedelta) -> None:
    asked = area.lock_for(duration)
    area.client.put_object_retention(
        **where,
        Retention={
            "Mode": asked["ObjectLockMode"],
            "RetainUntilDate": asked["ObjectLockRetainUntilDate"],
        },
    )


def retention(area: ProbeArea) -> Check:
    """A retention of a minute set by header must be read back, and deletion refused."""
    name = CheckName.RETENTION
    where, asked = _retained(area, "retained")
    if not _locked_as(area, where, asked):
        return Check(name, Answer.NO, "A retention set by header is not read back.")
    if _deleted(area, where):
        return Check(name, Answer.NO, "An object under retention can be deleted.")
    sentence = "A retention (GOVERNANCE) set by header is read back, and deletion is refused."
    return Check(name, Answer.YES, sentence)


def retention_firm(area: ProbeArea) -> Check:
    """A retention must not get shorter."""
    name = CheckName.RETENTION_FIRM
    where, asked = _retained(area, "firm")
    if not _locked_as(area, where, asked):
        return Check(name, Answer.UNKNOWN, "Not tried: there is no retention.")
    try:
        _retain(area, where, RETENTION / 2)
    except ClientError as error:
        if not 400 <= status_of(error) < 500:
            return Check(name, Answer.UNKNOWN, f"Shortening a retention ended in {reason_of(error)}.")
    if _locked_as(area, where, asked):
        return Check(name, Answer.YES, "A retention cannot be shortened.")
    return Check(name, Answer.NO, "A retention can be shortened.")


def retention_parts(area: ProbeArea) -> Check:
    """A retention set when a multipart upload is begun must be read back from the object."""
    name = CheckName.RETENTION_PARTS
    if area.parts_stay_locked:
        return Check(name, Answer.UNKNOWN, area.parts_stay_locked)
    asked = area.lock_for(RETENTION)
    upload, key = area.begin("retained-parts", **asked), area.root + "retained-parts"
    tag = area.client.upload_part(Bucket=area.bucket, Key=key, UploadId=upload, PartNumber=1, Body=_BYTES)[
        "ETag"
    ]
    version = area.client.complete_multipart_upload(
        Bucket=area.bucket, Key=key, UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]},
    ).get("VersionId")  # fmt: skip
    if _locked_as(area, _where(area, "retained-parts", version), asked):
        return Check(name, Answer.YES, "A retention set when parts are begun is read back.")
    return Check(name, Answer.NO, "A retention set when parts are begun is ignored.")


def _retained(area: ProbeArea, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new object under retention: where it is, and what was asked for."""
    asked = area.lock_for(RETENTION)
    return _where(area, name, area.put(name, _BYTES, **asked).get("VersionId")), asked


def _locked_as(area: ProbeArea, where: dict[str, Any], asked: dict[str, Any]) -> bool:
    head = area.client.head_object(**where)
    until = head.get("ObjectLockRetainUntilDate")
    if until is None or head.get("ObjectLockMode") != asked["ObjectLockMode"]:
        return False
    return bool(abs(until - asked["ObjectLockRetainUntilDate"]) < _SAME)


def legal_hold(area: ProbeArea) -> Check:
    """A hold set by header, only after taking one off was seen to be permitted."""
    name = CheckName.LEGAL_HOLD
    version = area.put("held", _BYTES).get("VersionId")
    free: Any = {"LegalHold": {"Status": "OFF"}}
    try:
        area.client.put_object_legal_hold(**_where(area, "held", version), **free)
    except ClientError as error:
        sentence = f"Not tried, it could not be taken off again: {reason_of(error)}."
        return Check(name, Answer.UNKNOWN, sentence)
    version = area.put("held", _BYTES, ObjectLockLegalHoldStatus="ON").get("VersionId")
    where = _where(area, "held", version)
    try:
        shown = area.client.head_object(**where).get("ObjectLockLegalHoldStatus")
        if shown != "ON":
            return Check(name, Answer.NO, "A legal hold set by header is not read back.")
        if _deleted(area, where):
            return Check(name, Answer.NO, "An object under legal hold can be deleted.")
    finally:
        with suppress(ClientError):  # what stays because of it is reported as left behind
            area.client.put_object_legal_hold(**where, **free)
    if area.get("held") != _BYTES:
        sentence = "Taking off a legal hold changed the bytes."
        return Check(name, Answer.NO, sentence, dangerous=True)
    return Check(name, Answer.YES, "A legal hold set by header is read back, and deletion is refused.")


def _where(area: ProbeArea, name: str, version: str | None) -> dict[str, Any]:
    where = {"Bucket": area.bucket, "Key": area.root + name}
    return {**where, "VersionId": version} if version else where


def _deleted(area: ProbeArea, where: dict[str, Any]) -> bool:
    """Whether this very version can be deleted; whatever the answer says, the bytes decide."""
    with suppress(ClientError):
        area.client.delete_object(**where)
    try:
        answer = area.client.get_object(**where)
        return answer["Body"].read() != _BYTES
    except ClientError as error:
        if status_of(error) == 404:
            return True
        raise
