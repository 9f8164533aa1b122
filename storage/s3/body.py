"""The bytes of an S3 object as a stream that can seek."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

from botocore.response import StreamingBody

from storage.errors import StoreUnavailable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from _typeshed import ReadableBuffer as Buffer
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef


class Source(Protocol):
    """What a stream asks of its store."""

    @property
    def name(self) -> str:
        """The store's name."""

    def errors(self, key: str) -> AbstractContextManager[None]:
        """Turns the vendor's errors into ours."""

    def body_from(self, key: str, offset: int, size: int, etag: str) -> StreamingBody:
        """The rest of an object from ``offset`` on, if it is still the same object."""


class S3Body(io.RawIOBase):
    """The bytes of an object as they arrive. Seeking asks the server again, from there on."""

    def __init__(self, store: Source, key: str, answer: GetObjectOutputTypeDef) -> None:
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
