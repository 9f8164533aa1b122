"""An object store in an S3 bucket, on AWS or on any server that speaks its protocol."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody
from urllib3.exceptions import HTTPError

from packages.digest import sha512_hex
from storage.errors import (
    ObjectExists,
    ObjectMissing,
    StorageError,
    StoreRefused,
    StoreUnavailable,
    WriteMismatch,
)
from storage.protocol import ObjectEntry, Progress, Upload, check_key

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_SENDINGS = 3  # times an object is sent before its arrival is given up
_READINGS = 3  # times it is read back: the answer may be what was spoilt
_MISSING = {"404", "NoSuchKey", "NotFound"}
_REFUSED = {
    "403",
    "AccessDenied",
    "InvalidAccessKeyId",
    "NoSuchBucket",
    "QuotaExceeded",
    "SignatureDoesNotMatch",
}


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How to reach a bucket. Empty credentials mean the usual chain (environment, profile, role).

    ``verify_writes`` says what proves arrival: ``read-back`` reads every object again and compares
    its SHA-512; ``signed`` trusts a server that is known to verify the signed payload digest.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = None
    ca_bundle: str | None = None
    connections: int = 16
    verify_writes: Literal["read-back", "signed"] = "read-back"
    part_size: int = 16 << 20
    connect_timeout: float = 10
    read_timeout: float = 60


class _Body(io.RawIOBase):
    """The bytes of an object as they arrive. Seeking asks the server again, from there on."""

    def __init__(self, store: S3Store, key: str, answer: GetObjectOutputTypeDef) -> None:
        self._store = store
        self._key = key
        self._body = answer["Body"]
        self._size = answer["ContentLength"]
        self._etag = answer["ETag"]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        with self._store.errors(self._key):
            chunk = self._body.read(len(view))
        if not chunk and self._position < self._size:
            raise StoreUnavailable(self._store.name, f"{self._key} was cut short while reading")
        view[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        wanted = start + offset
        if wanted != self._position:
            self._body.close()
            self._body = self._store.body_from(self._key, wanted, self._size, self._etag)
            self._position = wanted
        return wanted

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        self._body.close()
        super().close()


class S3Store:
    """One bucket, optionally one prefix in it. Thread-safe."""

    def __init__(self, settings: S3Settings, name: str = "s3") -> None:
        self._settings = settings
        self._name = name
        self._prefix = settings.prefix.strip("/") + "/" if settings.prefix.strip("/") else ""
        self._client: S3Client = boto3.client(
            "s3",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            verify=settings.ca_bundle,
            config=Config(
                # boto3's defaults fail or mis-store over HTTPS on several servers; a signed
                # payload makes Ceph and Swift verify the SHA-256 of every body.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"payload_signing_enabled": True, "addressing_style": "path"},
                retries={"mode": "standard", "total_max_attempts": 4},
                max_pool_connections=settings.connections * 2,
                connect_timeout=settings.connect_timeout,
                read_timeout=settings.read_timeout,
            ),
        )
        self._transfer = TransferConfig(
            multipart_threshold=settings.part_size,
            multipart_chunksize=settings.part_size,
            max_concurrency=min(4, settings.connections),
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def connections(self) -> int:
        return self._settings.connections

    def put(self, uploads: Iterable[Upload], progress: Progress | None = None) -> None:
        limit = self._settings.connections
        running: set[Future[int]] = set()
        with ThreadPoolExecutor(limit, thread_name_prefix=f"store-{self._name}") as pool:
            try:
                for upload in uploads:
                    if len(running) >= 2 * limit:  # bounded: a million uploads are never queued
                        running = self._settle(running, progress)
                    running.add(pool.submit(self._put_new, upload))
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

    def _put_one(self, upload: Upload) -> int:
        with self.errors(upload.key):
            self._send_and_prove(upload, create_only=True)
        return upload.size

    def _send_and_prove(self, upload: Upload, *, create_only: bool) -> None:
        """Send until the server holds the right bytes; what it holds wrongly in the end is removed.

        A network can change bytes on the way, and not every server notices. After the first time
        the object there is our own, so writing over it is right.
        """
        for attempt in range(_SENDINGS):
            self._send(upload, create_only=create_only and attempt == 0)
            try:
                self._confirm(upload)
                return
            except WriteMismatch as error:
                mismatch = error
        with suppress(StorageError):
            self.delete(upload.key)
        raise mismatch

    def _send(self, upload: Upload, *, create_only: bool) -> None:
        """One request, or parts in parallel where the object is large."""
        bucket, key = self._settings.bucket, self._key(upload.key)
        if upload.path is not None and upload.size >= self._settings.part_size:
            self._client.upload_file(str(upload.path), bucket, key, Config=self._transfer)
            return
        content = upload.content if upload.path is None else upload.path.read_bytes()
        assert content is not None, "an Upload has a path or content"
        if sha512_hex(content) != upload.sha512:
            raise WriteMismatch(upload.key, expected=upload.sha512, found="other bytes")
        if create_only:  # where the server honours If-None-Match; where it does not, it is ignored
            self._client.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
        else:
            self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def _put_new(self, upload: Upload) -> int:
        """Put, where a refusal because of our own earlier, unanswered request is a success."""
        try:
            return self._put_one(upload)
        except ObjectExists:
            try:
                with self.errors(upload.key):
                    self._confirm(upload)
            except WriteMismatch:
                raise ObjectExists(upload.key) from None
            return upload.size

    def _confirm(self, upload: Upload) -> None:
        if self._settings.verify_writes == "signed":
            size = self.size(upload.key)
            if size != upload.size:
                raise WriteMismatch(upload.key, expected=f"{upload.size} bytes", found=f"{size} bytes")
            return
        for attempt in range(_READINGS):
            try:
                found = self._read_back(upload.key)
            except StoreUnavailable:
                if attempt + 1 == _READINGS:
                    raise
                continue
            if found == upload.sha512:
                return
        raise WriteMismatch(upload.key, expected=upload.sha512, found=found)

    def _read_back(self, key: str) -> str:
        """The SHA-512 of what the server gives for a key."""
        hasher = hashlib.sha512()
        with self.open(key) as stream:
            while chunk := stream.read(1 << 20):
                hasher.update(chunk)
        return hasher.hexdigest()

    def replace(self, upload: Upload) -> None:
        with self.errors(upload.key):
            self._send_and_prove(upload, create_only=False)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        with self.errors(key):
            answer = self._client.get_object(Bucket=self._settings.bucket, Key=self._key(key))
        with closing(_Body(self, key, answer)) as body:
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

    def _key(self, key: str) -> str:
        return self._prefix + check_key(key)

    @contextmanager
    def errors(self, key: str) -> Iterator[None]:
        """The one place where the vendor's errors become ours. Never quotes credentials."""
        try:
            yield
        except ClientError as error:
            raise self._translated(key, error) from error
        except (BotoCoreError, HTTPError) as error:
            raise StoreUnavailable(self._name, f"{type(error).__name__}: {error}") from error
        except boto3.exceptions.S3UploadFailedError as error:
            raise StoreUnavailable(self._name, f"upload of {key} failed: {error}") from error
        except OSError as error:
            raise StoreUnavailable(self._name, f"{error.strerror or error}") from error

    def _translated(self, key: str, error: ClientError) -> Exception:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "PreconditionFailed":
            return ObjectExists(key)
        if code == "NoSuchBucket":
            return StoreRefused(self._name, f"there is no bucket “{self._settings.bucket}”")
        if code in _MISSING:
            return ObjectMissing(key)
        message = error.response.get("Error", {}).get("Message") or code
        if code in _REFUSED or status == 403:
            return StoreRefused(self._name, f"access refused ({code}: {message})")
        return StoreUnavailable(self._name, f"{code}: {message} (HTTP {status})")
