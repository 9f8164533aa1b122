"""The components of one installation, as everything that is done to packages uses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from packages.paths import printable
from pipeline.agreement import Agreement
from pipeline.context import Clock, IngestContext, Progress, Software, no_progress, utc_now
from pipeline.errors import WorkAreaUnusable
from pipeline.formats.identification import Identification
from pipeline.tools import Toolbox
from storage.catalogue import Catalogue, Lease
from storage.ocfl.repository import OcflRepository
from storage.replicas.store import ArchivalStore
from storage.scratch import scratch_folder

__all__ = ["Archive", "run_context"]


@dataclass(frozen=True, slots=True)
class Archive:
    """The real components one installation works with; built in one place (``stele.wiring``)."""

    catalogue: Catalogue
    stores: tuple[ArchivalStore, ...]
    work: Path
    receipts: Path
    quarantine: Path
    software: Software
    tools: Toolbox
    clock: Clock = utc_now
    archivematica_mets_limit: int = 1000
    run: str = ""
    """Where what is done now can be watched: the id of an orchestrator's run."""

    @property
    def repositories(self) -> tuple[OcflRepository, ...]:
        """The storage roots, in configured order."""
        return tuple(store.repository for store in self.stores)

    @property
    def store_names(self) -> tuple[str, ...]:
        """The names of the stores, in configured order."""
        return tuple(store.name for store in self.stores)

    def under(self, lease: Lease) -> Archive:
        """The same archive, which refuses every write once the lease is lost."""
        stores = (replace(one, repository=one.repository.fenced(lease)) for one in self.stores)
        return replace(self, catalogue=self.catalogue.under(lease), stores=tuple(stores))


@contextmanager
def run_context(
    subject: Path,
    agreement: Agreement,
    archive: Archive,
    progress: Progress = no_progress,
    *,
    shown: str = "",
) -> Iterator[IngestContext]:
    """What the stages of one run share, with a work area that is gone afterwards."""
    with _work_area(archive.work) as work:
        context = IngestContext(
            subject=subject,
            agreement=agreement,
            work=work,
            software=archive.software,
            identification=Identification(archive.tools.identifier, work / "content"),
            tools=archive.tools,
            clock=archive.clock,
            progress=progress,
            archivematica_mets_limit=archive.archivematica_mets_limit,
            shown=shown or printable(str(subject)),
            quarantine=archive.quarantine,
        )
        try:
            yield context
        finally:
            context.identification.cancel()


@contextmanager
def _work_area(parent: Path) -> Iterator[Path]:
    """A private folder for one run."""
    with ExitStack() as stack:
        try:
            area = stack.enter_context(scratch_folder(parent))
        except OSError as error:
            raise WorkAreaUnusable(f"cannot work in {parent}: {error.strerror}") from error
        yield area
