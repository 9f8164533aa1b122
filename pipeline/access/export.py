"""An AIP given back as the bag it is, with every digest checked on the way out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from packages.identifiers import PackageId
from packages.problems.catalogue import problem
from packages.problems.problem import Problem
from pipeline.errors import PipelineError, UnknownPackage
from pipeline.holdings.aip_reader import AipReader
from storage.ocfl.repository import OcflRepository

__all__ = ["ExportRefused", "Exported", "export_aip", "written_folder"]


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


def export_aip(
    package: PackageId,
    repositories: Sequence[OcflRepository],
    target: Path,
    *,
    version: str | None = None,
    progress: Callable[[int], None] | None = None,
    before: Callable[[AipReader], None] | None = None,
) -> Exported:
    """Write a version of an AIP below ``target`` as a bag named by its OBJID.

    A file damaged in one store is taken from the next. ``before`` is called with the open AIP before
    anything is written; what it raises ends the export. Raises UnknownPackage, ExportRefused.
    """
    reader = AipReader(package, repositories, every_version=version is not None)
    files, size, problems = 0, 0, []
    with ExitStack() as opened:
        opened.enter_context(reader)
        if before:
            before(reader)
        folder = opened.enter_context(written_folder(target / package.objid))
        wanted = version or reader.inventory.head
        if wanted not in [one.name for one in reader.inventory.versions]:
            raise UnknownPackage(f"{package.urn} has no version {wanted}")
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
