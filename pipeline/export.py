"""Out again: an AIP as the bag it is, with every digest checked on the way out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from packages.digest import PREFERRED, sha512_hex
from packages.identifiers import PackageId
from packages.problem import Problem
from packages.problem_catalogue import problem
from pipeline.errors import PipelineError, UnknownPackage
from storage.copying import copy_hashed
from storage.errors import ObjectMissing, StorageError, StoreUnavailable
from storage.ocfl.inventory import Inventory, InventoryEntry
from storage.ocfl.objects import OcflRepository

__all__ = ["AipReader", "ExportRefused", "Exported", "export_aip", "written_folder"]


class ExportRefused(PipelineError):
    """The target is not an empty place to write to."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written where; problems only when a file could be had from no store."""

    folder: Path
    version: str
    files: int
    bytes: int
    problems: tuple[Problem, ...]


class AipReader:
    """One AIP, read from whichever store still has each file whole."""

    def __init__(self, package: PackageId, repositories: Sequence[OcflRepository]) -> None:
        """Raises UnknownPackage when no store holds a readable copy; the last storage error when
        all are out of reach."""
        self.package = package
        self._copies: list[tuple[OcflRepository, Inventory]] = []
        self._entries: dict[str, InventoryEntry] | None = None
        failure: StorageError | None = None
        for repository in repositories:
            try:
                self._copies.append((repository, repository.inventory(package.urn)))
            except ObjectMissing:
                continue
            except StorageError as error:
                failure = error
        if not self._copies:
            if failure:
                raise failure
            raise UnknownPackage(f"no store holds an AIP {package.urn}")

    @property
    def inventory(self) -> Inventory:
        """The inventory of the first readable copy, in configured order."""
        return self._copies[0][1]

    @property
    def first(self) -> OcflRepository:
        """The repository whose inventory ``inventory`` is."""
        return self._copies[0][0]

    def content(self, logical: str) -> bytes | None:
        """The bytes of a small file, from the first copy that has them right. Raises KeyError."""
        entry = self._entry(logical)
        for repository, _ in self._copies:
            try:
                with repository.open(self.package.urn, entry) as stream:
                    content = stream.read()
            except (StorageError, OSError):
                continue
            if sha512_hex(content) == entry.sha512:
                return content
        return None

    def open(self, logical: str) -> AbstractContextManager[BinaryIO]:
        """A file's bytes as a stream, unproved. Raises KeyError, ObjectMissing."""
        return self.first.open(self.package.urn, self._entry(logical))

    def size(self, logical: str) -> int:
        """A file's bytes. Raises KeyError, ObjectMissing."""
        key = self.first.key(self.package.urn, self._entry(logical))
        size = self.first.store.size(key)
        if size is None:
            raise ObjectMissing(key)
        return size

    def _entry(self, logical: str) -> InventoryEntry:
        if self._entries is None:
            self._entries = {entry.logical: entry for entry in self.inventory.state()}
        return self._entries[logical]

    def fetch(self, entry: InventoryEntry, target: Path) -> int | None:
        """Copy one file out and compare its digest; its bytes, None when no copy is whole."""
        target.parent.mkdir(parents=True, exist_ok=True)
        for repository, inventory in self._copies:
            content = inventory.manifest.get(entry.sha512)
            if content:
                here = InventoryEntry(entry.sha512, entry.logical, content[0])
                size = self._fetch_from(repository, here, target)
                if size is not None:
                    return size
        return None

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


def export_aip(
    package: PackageId,
    repositories: Sequence[OcflRepository],
    target: Path,
    *,
    version: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Exported:
    """Write a version of an AIP below ``target`` as a bag named by its OBJID.

    A file damaged in one store is taken from the next. Raises UnknownPackage, ExportRefused.
    """
    reader = AipReader(package, repositories)
    wanted = version or reader.inventory.head
    if wanted not in reader.inventory.versions:
        raise UnknownPackage(f"{package.urn} has no version {wanted}")
    files, size, problems = 0, 0, []
    with written_folder(target / package.objid) as folder:
        for entry in reader.inventory.state(wanted):
            written = reader.fetch(entry, folder / entry.logical)
            if written is None:
                code = problem("STORE-DIGEST", entry.logical, expected=entry.sha512, found="damage")
                problems.append(code)
                continue
            files, size = files + 1, size + written
            if progress:
                progress(written)
    return Exported(target / package.objid, wanted, files, size, tuple(problems))


@contextmanager
def written_folder(final: Path) -> Iterator[Path]:
    """A folder that appears under its name only when it is complete.

    Raises ExportRefused if something is there already.
    """
    if final.exists():
        raise ExportRefused(f"{final} exists already; choose another folder or remove it")
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".stele-", dir=final.parent) as staging:
        folder = Path(staging, "out")
        folder.mkdir()
        yield folder
        os.rename(folder, final)  # noqa: PTH104  (Path.rename would return a value nobody needs)
