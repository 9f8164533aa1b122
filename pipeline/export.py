"""Out again: an AIP as the bag it is, with every digest checked on the way out."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packages.identifiers import PackageId
from packages.problem import Problem
from packages.problem_catalogue import problem
from pipeline.errors import PipelineError, UnknownPackage
from storage.errors import ObjectMissing, StorageError
from storage.ocfl.inventory import Inventory, InventoryEntry
from storage.ocfl.objects import OcflRepository

__all__ = ["ExportRefused", "Exported", "export_aip", "open_aip", "written_folder"]


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


def open_aip(
    package: PackageId, repositories: Sequence[OcflRepository]
) -> list[tuple[OcflRepository, Inventory]]:
    """The stores that hold a readable copy, in configured order.

    Raises UnknownPackage when none holds one; the last storage error when all are out of reach.
    """
    found: list[tuple[OcflRepository, Inventory]] = []
    failure: StorageError | None = None
    for repository in repositories:
        try:
            found.append((repository, repository.inventory(package.urn)))
        except ObjectMissing:
            continue
        except StorageError as error:
            failure = error
    if not found:
        if failure:
            raise failure
        raise UnknownPackage(f"no store holds an AIP {package.urn}")
    return found


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
    copies = open_aip(package, repositories)
    inventory = copies[0][1]
    wanted = version or inventory.head
    if wanted not in inventory.versions:
        raise UnknownPackage(f"{package.urn} has no version {wanted}")
    files, size, problems = 0, 0, []
    with written_folder(target / package.objid) as folder:
        for entry in inventory.state(wanted):
            written = _from_any(package, copies, entry, folder / entry.logical)
            if written is None:
                code = problem("STORE-DIGEST", entry.logical, expected=entry.sha512, found="damage")
                problems.append(code)
                continue
            files, size = files + 1, size + written
            if progress:
                progress(written)
    return Exported(target / package.objid, wanted, files, size, tuple(problems))


def _from_any(
    package: PackageId,
    copies: list[tuple[OcflRepository, Inventory]],
    entry: InventoryEntry,
    target: Path,
) -> int | None:
    for repository, inventory in copies:
        content = inventory.manifest.get(entry.sha512)
        if not content:
            continue
        here = InventoryEntry(entry.sha512, entry.logical, content[0])
        try:
            size = fetch(package, repository, here, target)
        except (StorageError, OSError):
            continue  # another store may still have it
        if size is not None:
            return size
    return None


def fetch(
    package: PackageId, repository: OcflRepository, entry: InventoryEntry, target: Path
) -> int | None:
    """Copy one file out and compare its digest; None (and no file) when it differs."""
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher, size = hashlib.sha512(), 0
    with repository.open(package.urn, entry) as source, target.open("wb") as sink:
        while chunk := source.read(1 << 20):
            hasher.update(chunk)
            sink.write(chunk)
            size += len(chunk)
    if hasher.hexdigest() != entry.sha512:
        target.unlink()
        return None
    return size


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
