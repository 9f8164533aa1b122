"""Sending one object to S3: in one request or in parts, with what the server was seen to honour."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from threading import Semaphore
from typing import TYPE_CHECKING, Any, BinaryIO

from packages.digest import DigestAlgorithm, MultiHasher, sha512_hex
from storage.errors import StoreRefused, WriteMismatch
from storage.protocol import Upload
from storage.s3.client import S3Settings
from storage.s3.multipart import LargeFile, content_md5, send_parts
from storage.s3.probe.capabilities import WriteRules

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_LARGEST_PUT = 5 << 30  # S3's limit for one request


@dataclass(frozen=True, slots=True)
class Written:
    """What tells our own object from one that somebody else wrote over it."""

    etag: str
    version: str | None


class Sender:
    """Writes objects to one bucket. Proves nothing: that is the next step."""

    def __init__(self, client: S3Client, settings: S3Settings, name: str, rules: WriteRules) -> None:
        self._client = client
        self._settings = settings
        self._name = name
        self._rules = rules
        self._slots = Semaphore(settings.connections)  # parts in memory at once

    def must_look(self, upload: Upload) -> bool:
        """Whether only a question beforehand keeps a put from overwriting something."""
        if self._in_parts(upload):
            return not self._rules.create_only_parts
        return not self._rules.create_only

    def send(self, upload: Upload, key: str, *, create_only: bool) -> Written:
        """Write an object. Raises WriteMismatch when the source is not what the upload says.

        Raises StoreRefused for a lock that the server was not seen to keep.
        """
        self._check_lock(upload)
        arguments = {**self._settings.encryption(), **_lock(upload)}
        if self._in_parts(upload):
            return self._send_parts(upload, key, arguments, create_only=create_only)
        body, md5 = self._body(upload)
        if md5:
            arguments["ContentMD5"] = md5
        if create_only and self._rules.create_only:
            arguments["IfNoneMatch"] = "*"
        try:
            answer = self._client.put_object(Bucket=self._settings.bucket, Key=key, Body=body, **arguments)
        finally:
            if not isinstance(body, bytes):
                body.close()
        return Written(answer.get("ETag", ""), answer.get("VersionId"))

    def _in_parts(self, upload: Upload) -> bool:
        if upload.path is None or upload.size < self._settings.part_size:
            return False
        # Ceph 16 ignores a lock that is asked for when parts are begun: one request then.
        locked = upload.retain_until is not None or upload.legal_hold
        return not locked or self._rules.retention_parts or upload.size > _LARGEST_PUT

    def _check_lock(self, upload: Upload) -> None:
        """A lock that would be ignored must not look like one."""
        parts = self._rules.retention_parts or not self._in_parts(upload)
        if upload.retain_until is not None and not (self._rules.retention and parts):
            raise StoreRefused(self._name, f"retention of {upload.key} would not be kept here")
        if upload.legal_hold and not (self._rules.legal_hold and parts):
            raise StoreRefused(self._name, f"a legal hold on {upload.key} would not be kept here")

    def _body(self, upload: Upload) -> tuple[bytes | BinaryIO, str]:
        """The bytes, and their MD5 where it is sent; a large file stays on disk."""
        with_md5 = self._rules.content_md5 or bool(_lock(upload))
        if upload.path is not None and upload.size >= self._settings.part_size:
            return _hashed_file(upload, with_md5=with_md5)
        content = upload.content if upload.path is None else upload.path.read_bytes()
        assert content is not None, "an Upload has a path or content"
        found = sha512_hex(content)
        if found != upload.sha512:
            raise WriteMismatch(upload.key, expected=upload.sha512, found=found)
        return content, content_md5(content) if with_md5 else ""

    def _send_parts(
        self, upload: Upload, key: str, arguments: dict[str, Any], *, create_only: bool
    ) -> Written:
        assert upload.path is not None, "only files are sent in parts"
        file = LargeFile(upload, upload.path, self._settings.bucket, key)
        answer = send_parts(
            self._client,
            file,
            part_size=file.part_size(self._settings.part_size),
            slots=self._slots,
            begin=arguments,
            complete={"IfNoneMatch": "*"} if create_only and self._rules.create_only_parts else {},
            with_md5=self._rules.content_md5 or bool(_lock(upload)),
        )
        etag, version = answer.get("ETag", ""), answer.get("VersionId")
        if not etag:  # Ceph 16 does not say
            etag = self._client.head_object(Bucket=file.bucket, Key=key)["ETag"]
        return Written(etag, version)


def _lock(upload: Upload) -> dict[str, Any]:
    """The arguments that lock an object from its first moment; never a call of its own."""
    arguments: dict[str, Any] = {}
    if upload.retain_until is not None:
        arguments["ObjectLockMode"] = upload.lock_mode
        arguments["ObjectLockRetainUntilDate"] = upload.retain_until
    if upload.legal_hold:
        arguments["ObjectLockLegalHoldStatus"] = "ON"
    return arguments


def _hashed_file(upload: Upload, *, with_md5: bool) -> tuple[BinaryIO, str]:
    """A large file for a single request, at its start, with its bytes compared."""
    assert upload.path is not None, "only files are large"
    md5, sha512 = DigestAlgorithm.MD5, DigestAlgorithm.SHA512
    hasher = MultiHasher([sha512, md5] if with_md5 else [sha512])
    source = upload.path.open("rb")
    try:
        while chunk := source.read(1 << 20):
            hasher.update(chunk)
        found = hasher.hexdigests()
        if found[sha512] != upload.sha512:
            raise WriteMismatch(upload.key, expected=upload.sha512, found=found[sha512])
        source.seek(0)
    except BaseException:
        source.close()
        raise
    return source, base64.b64encode(bytes.fromhex(found[md5])).decode("ascii") if with_md5 else ""
