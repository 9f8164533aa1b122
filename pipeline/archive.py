"""The components of one installation, as everything that is done to packages uses them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.context import Clock, Software, utc_now
from pipeline.formats.toolbox import Toolbox
from pipeline.judging import Judge, judge_apart
from storage.catalogue import Catalogue, Lease
from storage.copies import ArchivalStore
from storage.ocfl.objects import OcflRepository

__all__ = ["Archive"]


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
    sidecar_limit: int = 1000
    judge: Judge = judge_apart
    """How a package is received and verified."""
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
