"""Closed records leave the archive only when somebody answers for it, whatever way they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from packages.aip.layout import AGREEMENT, AipLayout
from packages.identifiers import PackageId
from packages.premis import EventType
from pipeline.access.export import Exported, export_aip
from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.errors import DamagedArchive, PipelineError
from pipeline.holdings.aip_reader import AipReader
from pipeline.holdings.events import event
from pipeline.holdings.journal import write_journal
from storage.catalogue import EventRow

__all__ = ["AccessClosed", "Release", "downloaded", "export_released", "require_release"]


class AccessClosed(PipelineError):
    """The records may not leave the archive yet, and nobody has answered for an exception."""


@dataclass(frozen=True, slots=True)
class Release:
    """Who lets closed records leave, and why."""

    person: str
    reason: str

    @property
    def given(self) -> bool:
        """Whether both are said."""
        return bool(self.person.strip() and self.reason.strip())


def require_release(reader: AipReader, archive: Archive, release: Release | None, what: str) -> None:
    """Let an AIP's records leave as ``what`` (“DIP”, “export”), or raise AccessClosed.

    A release of closed records is recorded, in the journal too, before the first byte leaves. Raises
    DamagedArchive when the AIP's own agreement cannot be read, StoreUnavailable.
    """
    closed = _closed_until(reader, archive)
    if not closed:
        return
    urn = reader.package.urn
    if release is None or not release.given:
        raise AccessClosed(f"{urn} is closed {closed}; give --by and --reason to release it")
    text = f"closed records released as {what} by {release.person.strip()}: {release.reason.strip()}"
    row = event(EventType.DISSEMINATION, archive.clock(), store="*", detail=text)
    archive.catalogue.events.add(urn, [row])
    write_journal(archive).require()


def export_released(
    package: PackageId,
    archive: Archive,
    target: Path,
    *,
    version: str | None = None,
    release: Release | None = None,
    progress: Callable[[int], None] | None = None,
) -> Exported:
    """Write an AIP out as a bag; closed records only when somebody answers for it.

    Raises as ``export_aip``, and AccessClosed.
    """

    def released(reader: AipReader) -> None:
        require_release(reader, archive, release, "export")

    return export_aip(
        package, archive.repositories, target, version=version, progress=progress, before=released
    )


def downloaded(person: str, when: datetime) -> EventRow:
    """The event of a finished DIP that somebody took from a page; ``person`` is empty where pages have
    no accounts."""
    who = person or "somebody at this machine (the pages have no accounts)"
    return event(EventType.DISSEMINATION, when, store="*", detail=f"DIP downloaded from a page by {who}")


def _closed_until(reader: AipReader, archive: Archive) -> str:
    """How long the AIP's own agreement keeps it closed, in words; nothing where it is not."""
    content = reader.content(AipLayout(reader.package).logical(AGREEMENT))
    if content is None:
        raise DamagedArchive(f"the agreement within {reader.package.urn} is in no store as it should be")
    rights = Agreement.model_validate_json(content).rights
    if not rights.closed_on(archive.clock().date()):
        return ""
    return f"until {rights.open_from}" if rights.open_from else "without an end"
