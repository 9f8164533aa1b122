"""The probe's workbench: objects under a random prefix, and their removal whatever happened."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError

from storage.s3.client import S3Settings, make_client

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef, PutObjectOutputTypeDef

SCRATCH = "stele-probe-"
"""What every area key begins with, after the store's own prefix."""
RETENTION = timedelta(seconds=60)
"""How long a area object may be locked: removal waits for it where a bypass is not permitted."""
_SLACK = timedelta(seconds=5)


class ProbeArea:
    """One bucket, one random prefix in it. Counts requests and remembers what the server said."""

    def __init__(self, settings: S3Settings, name: str) -> None:
        self.client = self._watched(make_client(settings, name))
        self.settings = settings
        self.name = name
        self.bucket = settings.bucket
        self.root = f"{settings.folder}{SCRATCH}{secrets.token_hex(8)}/"
        self.requests = 0
        self.server = ""
        self.clock = timedelta()  # how far the server's clock is ahead of ours
        self.locked: dict[str, Any] = {}
        """Lock arguments for every write: overrules a default retention of the bucket's own."""
        self.parts_stay_locked = ""  # why nothing may be sent in parts, if so
        self.can_lock = False  # until the bucket is seen to have object lock, or not to say
        self._written: set[str] = set()
        self._uploads: list[tuple[str, str]] = []

    def _watched(self, client: S3Client) -> S3Client:
        client.meta.events.register("before-send.s3", self._count)
        client.meta.events.register("response-received.s3", self._listen)
        return client

    def _count(self, **_: object) -> None:
        self.requests += 1

    def _listen(self, response_dict: dict[str, Any] | None = None, **_: object) -> None:
        headers = (response_dict or {}).get("headers", {})
        self.server = headers.get("server", self.server)[:64]
        with suppress(KeyError, ValueError, TypeError):
            self.clock = parsedate_to_datetime(headers["date"]) - datetime.now(UTC)

    @contextmanager
    def tampering_client(self, change: Callable[[AWSPreparedRequest], None]) -> Iterator[S3Client]:
        """A client that never retries and whose signed requests are changed before they leave."""
        client = self._watched(make_client(self.settings, self.name, attempts=1))
        client.meta.events.register("before-send.s3", lambda request, **_: change(request))
        try:
            yield client
        finally:
            client.close()

    def key(self, name: str) -> str:
        """The full key of a area object, which will be removed."""
        self._written.add(self.root + name)
        return self.root + name

    def put(self, name: str, content: bytes, **arguments: Any) -> PutObjectOutputTypeDef:
        """Write a area object."""
        return self.client.put_object(
            Bucket=self.bucket, Key=self.key(name), Body=content, **{**self.locked, **arguments}
        )

    def get(self, name: str, **arguments: Any) -> bytes:
        """Read a area object."""
        answer = self.client.get_object(Bucket=self.bucket, Key=self.root + name, **arguments)
        return answer["Body"].read()

    def get_or_none(self, name: str) -> bytes | None:
        """Read a area object; None when there is none."""
        try:
            return self.get(name)
        except ClientError as error:
            if status_of(error) == 404:
                return None
            raise

    def begin(self, name: str, **arguments: Any) -> str:
        """Begin a multipart upload; it will be aborted if it is not completed."""
        answer = self.client.create_multipart_upload(
            Bucket=self.bucket, Key=self.key(name), **{**self.locked, **arguments}
        )
        self._uploads.append((self.root + name, answer["UploadId"]))
        return answer["UploadId"]

    def lock_for(self, duration: timedelta) -> dict[str, Any]:
        """Arguments that lock an object for a moment, by the server's clock."""
        until = datetime.now(UTC) + self.clock + duration
        return {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until.replace(microsecond=0)}

    def remove(self) -> list[str]:
        """Remove everything; the keys that could not be removed.

        What is locked and may not be bypassed is waited for: its retention is a minute.
        """
        for key, upload in self._uploads:
            with suppress(Exception):  # most are completed by now
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        left = self._remove_all()
        if left and self.can_lock:
            time.sleep((RETENTION + _SLACK).total_seconds())
            left = self._remove_all()
        return left

    def close(self) -> None:
        """Give connections back."""
        self.client.close()

    def _remove_all(self) -> list[str]:
        with suppress(Exception):  # some servers do not know the batch; most need nothing else
            self._delete_batch(self._remaining())
        left = self._remaining()
        for key, version in left:
            with suppress(Exception):  # what is still there is counted below
                self._delete(key, version)
        return sorted({key for key, _ in self._remaining()}) if left else []

    def _delete_batch(self, found: list[tuple[str, str | None]]) -> None:
        names: list[ObjectIdentifierTypeDef] = [
            {"Key": key, "VersionId": version} if version else {"Key": key} for key, version in found
        ]
        self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": names, "Quiet": True})

    def _delete(self, key: str, version: str | None) -> None:
        named: dict[str, Any] = {"Bucket": self.bucket, "Key": key}
        if version:
            named["VersionId"] = version
        try:
            self.client.delete_object(**named)
        except ClientError as error:
            if version is None or status_of(error) == 404:
                raise
            self.client.delete_object(**named, BypassGovernanceRetention=True)

    def _remaining(self) -> list[tuple[str, str | None]]:
        """Every version and marker under the prefix; plain keys where versions cannot be listed."""
        with suppress(Exception):
            versions = self._versions()
            if versions:  # none may also mean that the server does not know the question
                return versions
        with suppress(Exception):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.root
            )
            return [(o["Key"], None) for page in pages for o in page.get("Contents", ())]
        return [(key, None) for key in sorted(self._written) if self._is_there(key)]

    def _versions(self) -> list[tuple[str, str | None]]:
        found: list[tuple[str, str | None]] = []
        pages = self.client.get_paginator("list_object_versions").paginate(
            Bucket=self.bucket, Prefix=self.root
        )
        for page in pages:
            rows = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            found += [(row["Key"], row["VersionId"]) for row in rows]
        return found

    def _is_there(self, key: str) -> bool:
        try:
            self.client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            return status_of(error) != 404
        except Exception:
            return True
        return True


def status_of(error: ClientError) -> int:
    """The HTTP status of a refusal."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def reason_of(error: Exception) -> str:
    """A failure in a few words, without anything the server's text could carry."""
    if isinstance(error, ClientError):
        return f"HTTP {status_of(error)} {error.response.get('Error', {}).get('Code', '')}".strip()
    return type(error).__name__


__all__ = ["RETENTION", "ProbeArea", "reason_of", "status_of"]
