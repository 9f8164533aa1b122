"""One AIP, read from whichever store still has each file whole; every digest checked on the way."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from packages.digest import PREFERRED, sha512_hex
from packages.identifiers import PackageId
from pipeline.errors import UnknownPackage
from storage.copying import copy_hashed
from storage.errors import ObjectMissing, StorageError, StoreUnavailable
from storage.ocfl.inventory import InventoryEntry
from storage.ocfl.inventory_index import InventoryIndex
from storage.ocfl.repository import OcflRepository

__all__ = ["AipReader"]


class AipReader:
    """One AIP, read from whichever store still has each file whole. To be closed after use."""

    def __init__(
        self, package: PackageId, repositories: Sequence[OcflRepository], *, every_version: bool = False
    ) -> None:
        """``every_version``: files of earlier versions are wanted too. Raises UnknownPackage when no
        store holds a readable copy; the last storage error when all are out of reach."""
        self.package = package
        self._every_version = every_version
        self._waiting = deque(repositories)
        self._copies: list[tuple[OcflRepository, InventoryIndex]] = []
        self._failure: StorageError | None = None
        if not self._open_next():
            if self._failure:
                raise self._failure
            raise UnknownPackage(f"no store holds an AIP {package.urn}")

    def _open_next(self) -> bool:
        """Read the next store's inventory; only asked for when the ones before do not suffice."""
        while self._waiting:
            repository = self._waiting.popleft()
            try:
                inventory = repository.inventory(self.package.urn, every_version=self._every_version)
                self._copies.append((repository, inventory))
                return True
            except ObjectMissing:
                continue
            except StorageError as error:  # the next store may have it; raised when none has
                self._failure = error
        return False

    def __enter__(self) -> AipReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the scratch files of the inventories."""
        for _, inventory in self._copies:
            inventory.close()

    @property
    def inventory(self) -> InventoryIndex:
        """The inventory of the first readable copy, in configured order."""
        return self._copies[0][1]

    @property
    def first(self) -> OcflRepository:
        """The repository whose inventory ``inventory`` is."""
        return self._copies[0][0]

    def content(self, logical: str) -> bytes | None:
        """The bytes of a small file, from the first copy that has them right. Raises KeyError."""
        entry = self.entry(logical)
        for repository, here in self._places(entry):
            try:
                with repository.open(self.package.urn, here) as stream:
                    content = stream.read()
            except (StorageError, OSError):
                continue  # the next copy may be whole
            if sha512_hex(content) == entry.sha512:
                return content
        return None

    def open(self, logical: str) -> AbstractContextManager[BinaryIO]:
        """A file's bytes as a stream, unproved. Raises KeyError, ObjectMissing."""
        return self.first.open(self.package.urn, self.entry(logical))

    def size(self, logical: str) -> int:
        """A file's bytes. Raises KeyError, ObjectMissing."""
        key = self.first.key(self.package.urn, self.entry(logical))
        size = self.first.store.size(key)
        if size is None:
            raise ObjectMissing(key)
        return size

    def entry(self, logical: str) -> InventoryEntry:
        """A file of the newest version. Raises KeyError."""
        found = self.inventory.entry(logical)
        if found is None:
            raise KeyError(logical)
        return found

    def has(self, logical: str) -> bool:
        """Whether the newest version has a file of this path."""
        return self.inventory.entry(logical) is not None

    def fetch(self, entry: InventoryEntry, target: Path) -> int | None:
        """Copy one file out and compare its digest; its bytes, None when no copy is whole."""
        target.parent.mkdir(parents=True, exist_ok=True)
        for repository, here in self._places(entry):
            size = self._fetch_from(repository, here, target)
            if size is not None:
                return size
        return None

    def _places(self, entry: InventoryEntry) -> Iterator[tuple[OcflRepository, InventoryEntry]]:
        """Where a file's bytes may be, copy after copy."""
        number = 0
        while number < len(self._copies) or self._open_next():
            repository, inventory = self._copies[number]
            number += 1
            content = inventory.content_of(entry.sha512)
            if content is not None:
                yield repository, InventoryEntry(entry.sha512, entry.logical, content)

    def _fetch_from(self, repository: OcflRepository, entry: InventoryEntry, target: Path) -> int | None:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            with repository.open(self.package.urn, entry) as source:
                copied = copy_hashed(_reading(source), descriptor, (PREFERRED,))
            whole = copied.digests[PREFERRED] == entry.sha512
        except StorageError:
            whole = False  # another store may still have it
        finally:
            os.close(descriptor)
        if not whole:
            target.unlink()
            return None
        return copied.size


def _reading(source: BinaryIO) -> Callable[[memoryview], int]:
    """Reading, with a medium's errors told apart from those of writing."""

    def read_into(view: memoryview) -> int:
        try:
            return int(source.readinto(view))  # type: ignore[attr-defined]
        except OSError as error:
            raise StoreUnavailable("store", error.strerror or str(error)) from error

    return read_into
