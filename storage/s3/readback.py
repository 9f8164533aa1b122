"""Proof that an object arrived in S3: its bytes, its encryption, its lock."""

from __future__ import annotations

import hashlib
import random
import time
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from storage.errors import ObjectMissing, StoreRefused, WriteMismatch
from storage.protocol import LockMode, Retention, Upload
from storage.s3.client import S3Settings
from storage.s3.probe.capabilities import WriteRules
from storage.s3.upload import Written

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

_MAX_READ_ATTEMPTS = 4
_FIRST_BACKOFF_S = 0.2  # seconds, doubled each time, of which a random share is waited
_ROUNDING = timedelta(seconds=2)  # servers keep whole seconds


class Proof:
    """Compares what one bucket holds with what was meant to be written."""

    def __init__(self, client: S3Client, settings: S3Settings, name: str, rules: WriteRules) -> None:
        self._client = client
        self._settings = settings
        self._name = name
        self._rules = rules

    def confirm(self, upload: Upload, key: str, written: Written, *, created: bool) -> None:
        """Prove a write; our own object is deleted again when it is wrong.

        ``created`` says that nothing was there before. Raises WriteMismatch, StoreRefused.
        """
        where = self._where(key, written.version)
        try:
            if self._rules.read_back:
                self._read_back(upload, where)
            self._compare_head(upload, where)
        except (WriteMismatch, StoreRefused):
            if created or written.version:  # else there was a predecessor, and it is gone already
                self._discard(where, written)
            raise

    def is_already_there(self, upload: Upload, key: str) -> bool:
        """Whether the object under a key is just what was to be written, always by its bytes."""
        try:
            self._read_back(upload, self._where(key))
            self._compare_head(upload, self._where(key))
        except (WriteMismatch, ObjectMissing):
            return False
        return True

    def _where(self, key: str, version: str | None = None) -> dict[str, Any]:
        where = {"Bucket": self._settings.bucket, "Key": key}
        # "null" is how some servers name the one version of an unversioned bucket.
        return {**where, "VersionId": version} if version and version != "null" else where

    def _read_back(self, upload: Upload, where: dict[str, Any]) -> None:
        """Hash the stored bytes; a body cut short or a flipped byte is read again before judging.

        After a reading that was wrong a single right one proves nothing: two must agree.
        """
        found, cut = "", None
        right, needed = 0, 1
        for attempt in range(_MAX_READ_ATTEMPTS):
            if attempt:
                time.sleep(_FIRST_BACKOFF_S * 2**attempt * random.uniform(0.5, 1.0))
            try:
                found, cut = self._digest(where), None
            except ClientError:
                raise  # an answer, not an accident
            except (BotoCoreError, HTTPError) as error:
                cut = error
                continue
            right = right + 1 if found == upload.sha512 else 0
            if right == needed:
                return
            needed = needed if right else 2
        if cut is not None:
            raise cut
        raise WriteMismatch(upload.key, expected=upload.sha512, found=found)

    def _digest(self, where: dict[str, Any]) -> str:
        hasher = hashlib.sha512()
        answer = self._client.get_object(**where)
        with closing(answer["Body"]) as stream:
            for chunk in stream.iter_chunks(1 << 20):
                hasher.update(chunk)
        return hasher.hexdigest()

    def _compare_head(self, upload: Upload, where: dict[str, Any]) -> None:
        locked = upload.retain_until is not None or upload.legal_hold
        if self._rules.read_back and not locked and not self._settings.sse:
            return  # the bytes said it all
        head = self._client.head_object(**where)
        if head["ContentLength"] != upload.size:
            found = f"{head['ContentLength']} bytes"
            raise WriteMismatch(upload.key, expected=f"{upload.size} bytes", found=found)
        if self._settings.sse and head.get("ServerSideEncryption") != self._settings.sse:
            reason = f"{upload.key} was to be encrypted ({self._settings.sse}) and is not"
            raise StoreRefused(self._name, reason)
        if locked and not _keeps(retention_of(head), upload):
            expected, found = _lock_text(_asked(upload)), _lock_text(retention_of(head))
            raise WriteMismatch(upload.key, expected=expected, found=found)

    def _discard(self, where: dict[str, Any], written: Written) -> None:
        """Delete our own wrong object, if it can still be told to be ours."""
        with suppress(ClientError, BotoCoreError, HTTPError):  # the mismatch is what matters
            if "VersionId" not in where:
                head = self._client.head_object(**where)
                if not written.etag or head["ETag"] != written.etag:
                    return
            self._client.delete_object(**where)


def retention_of(head: HeadObjectOutputTypeDef) -> Retention | None:
    """The lock in an answer to HEAD."""
    until = head.get("ObjectLockRetainUntilDate")
    mode = cast("LockMode | None", head.get("ObjectLockMode"))
    held = head.get("ObjectLockLegalHoldStatus") == "ON"
    return Retention(until, mode, held) if until or held else None


def _asked(upload: Upload) -> Retention:
    return Retention(upload.retain_until, upload.lock_mode, upload.legal_hold)


def _keeps(found: Retention | None, upload: Upload) -> bool:
    """Whether a lock is at least what was asked for (a bucket's default may be longer)."""
    if found is None or (upload.legal_hold and not found.legal_hold):
        return False
    if upload.retain_until is None:
        return True
    long_enough = found.until is not None and found.until >= upload.retain_until - _ROUNDING
    return long_enough and found.mode in (upload.lock_mode, "COMPLIANCE")


def _lock_text(lock: Retention | None) -> str:
    if lock is None:
        return "no lock"
    until = f"{lock.mode} until {lock.until.isoformat()}" if lock.until else "no retention"
    return f"{until}, legal hold {'on' if lock.legal_hold else 'off'}"
