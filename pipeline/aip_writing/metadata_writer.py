"""The metadata files of a package while it is being written: hashed as they are written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from packages.package_file import MetadataFile
from storage.copying import write_hashed
from storage.ocfl.repository import FileToStore


class MetadataWriter:
    """Collects metadata files below ``folder``; ``prefix`` is the package root in the bag."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self.folder = folder
        self._prefix = prefix
        self._stored: list[FileToStore] = []

    def write(
        self,
        path: str,
        chunks: Iterator[bytes],
        *,
        mime: str = "application/xml",
        bag: bool = False,
    ) -> MetadataFile:
        """Write a file; ``bag`` says that it belongs to the bag, not to the package inside."""
        target = self.folder / ("bag" if bag else "package") / path
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        with open(descriptor, "wb") as sink:
            size, sha512 = write_hashed(sink, chunks)
        file = MetadataFile(path, size, sha512, mime)
        self._add(file, target, bag=bag)
        return file

    def include(self, path: str, source: Path, size: int, sha512: str) -> MetadataFile:
        """Include a file from custody whose digest is known."""
        file = MetadataFile(path, size, sha512, "text/plain")
        self._add(file, source, bag=False)
        return file

    def _add(self, file: MetadataFile, source: Path, *, bag: bool) -> None:
        logical = file.path if bag else f"{self._prefix}/{file.path}"
        self._stored.append(FileToStore(logical, file.size, file.sha512, source))

    def stored_files(self) -> Iterator[FileToStore]:
        """All of them, ordered by path."""
        yield from sorted(self._stored, key=lambda stored: stored.logical)
