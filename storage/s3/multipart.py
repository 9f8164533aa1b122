"""Sending a large file to S3 in parts, hashed on the way."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore
from typing import TYPE_CHECKING, Any

from storage.errors import WriteMismatch
from storage.protocol import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        CompleteMultipartUploadOutputTypeDef,
    )

_MAX_PARTS = 10_000  # S3's limit
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class LargeFile:
    """What is to be sent where; ``key`` is the bucket's, with the store's prefix."""

    upload: Upload
    path: Path
    bucket: str
    key: str

    def part_size(self, usual: int) -> int:
        """The usual size of a part, or as many whole MiB as keep the number of parts legal."""
        least = -(-self.upload.size // _MAX_PARTS)
        return max(usual, -(-least // (1 << 20)) << 20)


def send_parts(
    client: S3Client,
    file: LargeFile,
    *,
    part_size: int,
    slots: Semaphore,
    begin: Mapping[str, Any],
    complete: Mapping[str, Any],
    with_md5: bool,
) -> CompleteMultipartUploadOutputTypeDef:
    """Send a file; ``begin`` and ``complete`` are further arguments of those two requests.

    ``slots`` bounds the parts in memory over all files of a store. Whatever goes wrong, the upload
    is aborted. Raises WriteMismatch, before anything can be seen, when the file has other bytes.
    """
    where: dict[str, Any] = {"Bucket": file.bucket, "Key": file.key}
    where["UploadId"] = client.create_multipart_upload(**where, **begin)["UploadId"]

    def send(number: int, content: bytes) -> CompletedPartTypeDef:
        try:
            md5: dict[str, Any] = {"ContentMD5": content_md5(content)} if with_md5 else {}
            tag = client.upload_part(**where, PartNumber=number, Body=content, **md5)["ETag"]
        finally:
            slots.release()
        return {"PartNumber": number, "ETag": tag}

    try:
        hasher = hashlib.sha512()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            running: set[Future[CompletedPartTypeDef]] = set()
            done: list[CompletedPartTypeDef] = []
            for number, content in _parts(file, part_size, slots, hasher):
                running.add(pool.submit(send, number, content))
                if len(running) >= _AT_ONCE:
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    done += [part.result() for part in finished]
            done += [part.result() for part in running]
        found, expected = hasher.hexdigest(), file.upload.sha512
        if found != expected:
            raise WriteMismatch(file.upload.key, expected=expected, found=found)
        parts = sorted(done, key=lambda part: part["PartNumber"])
        return client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts}, **complete)
    except BaseException:
        with suppress(Exception):  # what is left of it is found by a sweep
            client.abort_multipart_upload(**where)
        raise


def _parts(
    file: LargeFile, part_size: int, slots: Semaphore, hasher: hashlib._Hash
) -> Iterator[tuple[int, bytes]]:
    """Numbered parts; a slot is taken for each, which the one who sends it gives back."""
    with file.path.open("rb") as source:
        number = 0
        while True:
            slots.acquire()
            try:
                content = source.read(part_size)
                hasher.update(content)
            except BaseException:
                slots.release()
                raise
            if not content:
                slots.release()
                return
            number += 1
            yield number, content


def content_md5(content: bytes) -> str:
    """The value of a Content-MD5 header."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode("ascii")
