"""An object store in memory: the reference for the contract, and a fast one for tests."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import BinaryIO

from packages.digest import sha512_hex
from storage.errors import ObjectExists, ObjectMissing, WriteMismatch
from storage.protocol import ObjectEntry, Progress, Upload, check_key


class MemoryStore:
    """Keeps objects in a dictionary. Nothing survives the process; an upload's lock is ignored."""

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self.objects: dict[str, bytes] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def connections(self) -> int:
        return 1

    def put(self, uploads: Iterable[Upload], progress: Progress | None = None) -> None:
        for upload in uploads:
            if check_key(upload.key) in self.objects:
                raise ObjectExists(upload.key)
            self.replace(upload)
            if progress:
                progress(upload.size)

    def replace(self, upload: Upload) -> None:
        content = upload.content if upload.path is None else upload.path.read_bytes()
        assert content is not None, "an Upload has a path or content"
        found = sha512_hex(content)
        if found != upload.sha512:
            raise WriteMismatch(upload.key, expected=upload.sha512, found=found)
        self.objects[check_key(upload.key)] = content

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        try:
            content = self.objects[key]
        except KeyError:
            raise ObjectMissing(key) from None
        yield io.BytesIO(content)

    def size(self, key: str) -> int | None:
        content = self.objects.get(key)
        return None if content is None else len(content)

    def list(self, prefix: str) -> Iterator[str]:
        yield from sorted(key for key in self.objects if key.startswith(prefix))

    def entries(self, prefix: str) -> Iterator[ObjectEntry]:
        now = datetime.now(UTC)
        yield from (ObjectEntry(key, len(self.objects[key]), now) for key in self.list(prefix))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def sync(self) -> None:
        pass  # nothing outlives the process
