"""The content of one OCFL object, carried from one store to another."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from storage.protocol import ObjectStore, Upload

__all__ = ["Copier"]

_SMALL = 1 << 20


class Copier:
    """Copies content from one object store to another: small objects many at a time, large ones alone."""

    def __init__(
        self,
        source: ObjectStore,
        origin: str,
        target: ObjectStore,
        root: str,
        spool: Path,
        locked: Callable[[Upload], Upload],
    ) -> None:
        """``origin`` and ``root`` are the object's roots; ``locked`` adds the lock the copy must have."""
        self._locked = locked
        self._source = source
        self._origin = origin
        self._target = target
        self._root = root
        self._spool = spool

    def copy(self, wanted: Iterable[tuple[str, str]]) -> None:
        """``wanted`` pairs content paths with their SHA-512."""
        large: list[Upload] = []
        waiting = iter(wanted)
        while True:
            self._target.put(self._locked(upload) for upload in self._small(waiting, large))
            if not large:
                break
            self._target.put(self._locked(upload) for upload in large)
            large.clear()

    def _small(self, wanted: Iterator[tuple[str, str]], large: list[Upload]) -> Iterator[Upload]:
        """Uploads up to the first large object, which is spooled and left in ``large``."""
        for content, digest in wanted:
            key = f"{self._root}/{content}"
            with self._source.open(f"{self._origin}/{content}") as stream:
                start = stream.read(_SMALL + 1)
                if len(start) <= _SMALL:
                    yield Upload(key, len(start), digest, content=start)
                    continue
                with self._spool.open("wb") as sink:
                    sink.write(start)
                    shutil.copyfileobj(stream, sink, 1 << 20)
            large.append(Upload(key, self._spool.stat().st_size, digest, path=self._spool))
            return
