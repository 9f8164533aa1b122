"""An object store in an S3 bucket, on AWS or on any server that speaks its protocol."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO

from botocore.response import StreamingBody

from storage.errors import (
    ObjectExists,
    ObjectMissing,
    StoreDangerous,
    StoreRefused,
    StoreUnavailable,
    WriteMismatch,
)
from storage.protocol import ObjectEntry, Progress, Retention, Upload, check_key
from storage.s3.body import S3Body
from storage.s3.client import S3Settings, make_client, s3_errors
from storage.s3.probe.area import SCRATCH
from storage.s3.probe.capabilities import Capabilities, WriteRules, write_rules
from storage.s3.readback import Proof, retention_of
from storage.s3.upload import Sender

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import MultipartUploadTypeDef

__all__ = ["S3Settings", "S3Store"]

_MAX_WRITE_ATTEMPTS = 3  # times an object is sent before its arrival is given up
Found = Capabilities | Callable[[], Capabilities] | None


class S3Store:
    """One bucket, optionally one prefix in it. Thread-safe.

    ``found`` is what a probe of the bucket saw, or what makes one: it is asked for before the first
    write. Without it nothing is relied on: every write is preceded by a look and read back.
    """

    def __init__(self, settings: S3Settings, name: str = "s3", found: Found = None) -> None:
        self._settings = settings
        self._name = name
        self._client = make_client(settings, name)
        self._prefix = settings.folder
        self._found = found
        self._asking = Lock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def connections(self) -> int:
        return self._settings.connections

    @cached_property
    def _rules(self) -> WriteRules:
        """How to write here. Raises StoreDangerous for a server nothing may be trusted to."""
        with self._asking:
            if callable(self._found):
                self._found = self._found()
        if self._found is not None and self._found.dangers:
            raise StoreDangerous(self._name, self._found.dangers)
        return write_rules(self._found, self._settings.verify_writes)

    @cached_property
    def _sender(self) -> Sender:
        return Sender(self._client, self._settings, self._name, self._rules)

    @cached_property
    def _proof(self) -> Proof:
        return Proof(self._client, self._settings, self._name, self._rules)

    def put(self, uploads: Iterable[Upload], progress: Progress | None = None) -> None:
        limit = self._settings.connections
        running: set[Future[int]] = set()
        sender, proof = self._sender, self._proof  # made before there are threads
        with ThreadPoolExecutor(limit, thread_name_prefix=f"store-{self._name}") as pool:
            try:
                for upload in uploads:
                    if len(running) >= 2 * limit:  # bounded: a million uploads are never queued
                        running = self._settle(running, progress)
                    running.add(pool.submit(self._put_new, upload, sender, proof))
                while running:
                    running = self._settle(running, progress)
            except BaseException:
                for future in running:
                    future.cancel()
                raise

    @staticmethod
    def _settle(running: set[Future[int]], progress: Progress | None) -> set[Future[int]]:
        done, pending = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            size = future.result()
            if progress:
                progress(size)
        return pending

    def _put_new(self, upload: Upload, sender: Sender, proof: Proof) -> int:
        """Put, and again where the bytes were spoilt on the way; what is wrong in the end is removed."""
        for sending in range(1, _MAX_WRITE_ATTEMPTS + 1):
            try:
                return self._put_once(upload, sender, proof)
            except WriteMismatch:
                if sending == _MAX_WRITE_ATTEMPTS:
                    raise
        raise AssertionError("the loop ends by return or raise")

    def _put_once(self, upload: Upload, sender: Sender, proof: Proof) -> int:
        """A refusal because of our own earlier, unanswered request is a success."""
        key = self._key(upload.key)
        try:
            with self.errors(upload.key):
                if sender.must_look(upload) and self.size(upload.key) is not None:
                    raise ObjectExists(upload.key)
                written = sender.send(upload, key, create_only=True)
        except ObjectExists:
            with self.errors(upload.key):
                if proof.is_already_there(upload, key):
                    return upload.size
            raise
        with self.errors(upload.key):
            proof.confirm(upload, key, written, created=True)
        return upload.size

    def replace(self, upload: Upload) -> None:
        key = self._key(upload.key)
        for sending in range(1, _MAX_WRITE_ATTEMPTS + 1):
            try:
                with self.errors(upload.key):
                    written = self._sender.send(upload, key, create_only=False)
                    self._proof.confirm(upload, key, written, created=False)
                return
            except WriteMismatch:
                if sending == _MAX_WRITE_ATTEMPTS:
                    raise

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        with self.errors(key):
            answer = self._client.get_object(Bucket=self._settings.bucket, Key=self._key(key))
        with closing(S3Body(self, key, answer)) as body:
            yield io.BufferedReader(body, 1 << 20)

    def body_from(self, key: str, offset: int, size: int, etag: str) -> StreamingBody:
        """The rest of an object from ``offset`` on, if it is still the same object."""
        if offset >= size:
            return StreamingBody(io.BytesIO(b""), 0)  # nothing to ask for
        with self.errors(key):
            answer = self._client.get_object(
                Bucket=self._settings.bucket, Key=self._key(key), Range=f"bytes={offset}-"
            )
        if answer["ETag"] != etag:
            raise StoreUnavailable(self._name, f"{key} changed while it was read")
        return answer["Body"]

    def size(self, key: str) -> int | None:
        try:
            with self.errors(key):
                head = self._client.head_object(Bucket=self._settings.bucket, Key=self._key(key))
        except ObjectMissing:
            return None
        return head["ContentLength"]

    def retention(self, key: str) -> Retention | None:
        """The lock an object is under, None if it is under none. Raises ObjectMissing."""
        with self.errors(key):
            head = self._client.head_object(Bucket=self._settings.bucket, Key=self._key(key))
        return retention_of(head)

    @property
    def keeps_legal_holds(self) -> bool:
        return self._rules.legal_hold

    def set_legal_hold(self, key: str, *, held: bool) -> None:
        """Never asked of a server on which the probe saw such a call harm the object."""
        if not self.keeps_legal_holds:
            raise StoreRefused(self._name, f"a legal hold on {key} would not be kept here")
        bucket, full = self._settings.bucket, self._key(key)
        with self.errors(key):
            if held:
                self._client.put_object_legal_hold(Bucket=bucket, Key=full, LegalHold={"Status": "ON"})
            else:  # also from what was replaced: nothing of it could ever be removed
                for found in self._versions(full):
                    self._client.put_object_legal_hold(
                        Bucket=bucket, Key=full, VersionId=found, LegalHold={"Status": "OFF"}
                    )
        seen = self.retention(key)
        if (seen is not None and seen.legal_hold) is not held:
            raise StoreRefused(self._name, f"the legal hold on {key} was not {'set' if held else 'lifted'}")

    def list(self, prefix: str) -> Iterator[str]:
        yield from (entry.key for entry in self.entries(prefix))

    def entries(self, prefix: str) -> Iterator[ObjectEntry]:
        with self.errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._settings.bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    key = item["Key"].removeprefix(self._prefix)
                    yield ObjectEntry(key, item["Size"], item["LastModified"])

    def delete(self, key: str) -> None:
        with self.errors(key):
            self._client.delete_object(Bucket=self._settings.bucket, Key=self._key(key))

    def sync(self) -> None:
        pass  # what a server has answered is durable there

    def purge(self, key: str) -> None:
        """Every version and marker of the key, also in a bucket that never versioned anything."""
        bucket, full = self._settings.bucket, self._key(key)
        with self.errors(key):
            for found in self._versions(full, markers=True):
                self._client.delete_object(Bucket=bucket, Key=full, VersionId=found)

    def _versions(self, full: str, *, markers: bool = False) -> Iterator[str]:
        """The versions of one key, and the markers of its deletions."""
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=self._settings.bucket, Prefix=full
        )
        for page in pages:
            for found in [*page.get("Versions", ()), *(page.get("DeleteMarkers", ()) if markers else ())]:
                if found["Key"] == full:
                    yield found["VersionId"]

    def leftovers(self, older_than: datetime) -> Iterator[ObjectEntry]:
        for upload in self._unfinished_uploads(self._prefix):
            if upload["Initiated"] < older_than:
                yield ObjectEntry(upload["Key"].removeprefix(self._prefix), 0, upload["Initiated"])
        for entry in list(self.entries(SCRATCH)):
            if entry.modified < older_than:  # no AIP's: a probe takes minutes and has keys of its own
                yield entry

    def remove_leftover(self, entry: ObjectEntry) -> None:
        if entry.key.startswith(SCRATCH):
            self.purge(entry.key)
            return
        key = self._key(entry.key)
        with self.errors(entry.key):
            for upload in list(self._unfinished_uploads(key)):
                if upload["Key"] == key and upload["Initiated"] == entry.modified:
                    self._client.abort_multipart_upload(
                        Bucket=self._settings.bucket, Key=key, UploadId=upload["UploadId"]
                    )

    def _unfinished_uploads(self, prefix: str) -> Iterator[MultipartUploadTypeDef]:
        with self.errors(prefix or self._settings.bucket):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._settings.bucket, Prefix=prefix
            )
            for page in pages:
                yield from page.get("Uploads", ())

    def _key(self, key: str) -> str:
        return self._prefix + check_key(key)

    def errors(self, key: str) -> AbstractContextManager[None]:
        """The vendor's errors become ours, without credentials."""
        return s3_errors(self._name, self._settings, key)
