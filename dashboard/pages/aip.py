"""One AIP: what it is, where its copies are, what happened to it, how to get it out."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.sources import Sources
from packages.identifiers import PackageId
from packages.premis import EventType
from pipeline.agreement import Rights
from pipeline.formats.report import rule_for_count
from storage.catalogue import (
    AipRow,
    CopyRow,
    EventRow,
    FileRow,
    FormatCount,
    HoldRow,
    RemovalRow,
    SubmissionRow,
    VersionRow,
)

__all__ = ["AipPage", "FilesPage", "aip_page", "files_page"]

_PAGE = 200
_RANK = {
    kind.label: rank
    for rank, kind in enumerate(
        (
            EventType.UNPACKING, EventType.MESSAGE_DIGEST, EventType.FIXITY_CHECK, EventType.VIRUS_CHECK,
            EventType.FORMAT_IDENTIFICATION, EventType.VALIDATION, EventType.FILENAME_CHANGE,
            EventType.POLICY_ASSIGNMENT, EventType.NORMALIZATION, EventType.PACKAGE_CREATION,
            EventType.ACCESSION, EventType.INGESTION,
        )
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AipPage:
    """Everything the catalogue knows of one AIP. ``rights`` as its agreement says today."""

    aip: AipRow
    uuid: str
    versions: tuple[VersionRow, ...]
    copies: tuple[CopyRow, ...]
    formats: tuple[tuple[FormatCount, str], ...]
    events: tuple[EventRow, ...]
    listed: int
    rights: Rights | None
    closed: bool
    hold: HoldRow | None
    removal: RemovalRow | None
    submissions: tuple[tuple[SubmissionRow, str], ...]
    """With the link to the run that took it in, where there was one."""
    order_dip: str
    dip: str
    """The name of a DIP that is ready, or nothing."""
    may_download: bool


def aip_page(sources: Sources, package: PackageId, *, may_download: bool) -> AipPage | None:
    """Build the page; None where the archive never had such an AIP."""
    catalogue, urn = sources.catalogue, package.urn
    row = catalogue.aips.get(urn)
    if row is None:
        return None
    agreement = sources.agreement(row.agreement)
    rights = agreement.rights if agreement else None
    orchestration = sources.orchestration
    formats = [(count, rule_for_count(count, sources.policy).risk) for count in catalogue.formats.of(urn)]
    submissions = [
        (one, orchestration.run(one.run)) for one in catalogue.submissions.latest(aip=urn, limit=20)
    ]
    dip = f"dip-{package.uuid}"
    return AipPage(
        row, str(package.uuid), catalogue.versions.of(urn), catalogue.copies.of(urn), tuple(formats),
        _in_order(catalogue.events.of(urn)), catalogue.files.count(urn), rights,
        rights is not None and rights.closed_on(sources.clock().date()),
        catalogue.holds.get(urn), catalogue.removals.get(urn), tuple(submissions),
        orchestration.form("build-dip", aip=urn), dip if (sources.dips / dip).is_dir() else "",
        may_download,
    )  # fmt: skip


def _in_order(events: tuple[EventRow, ...]) -> tuple[EventRow, ...]:
    """By time; what happened within a second in the order of the pipeline's stages."""
    return tuple(sorted(events, key=lambda event: (event.time, _RANK.get(event.type, len(_RANK)))))


@dataclass(frozen=True, slots=True)
class FilesPage:
    """A page of an AIP's files; ``skip`` is how many came before."""

    aip: AipRow
    uuid: str
    files: tuple[FileRow, ...]
    puid: str
    skip: int
    count: int
    size: int


def files_page(sources: Sources, package: PackageId, *, puid: str, skip: int) -> FilesPage | None:
    """Build the page; None where there is no such AIP."""
    catalogue, urn = sources.catalogue, package.urn
    row = catalogue.aips.get(urn)
    if row is None:
        return None
    files = catalogue.files.of(urn, limit=_PAGE, skip=skip, puid=puid)
    count = catalogue.files.count(urn, puid)
    return FilesPage(row, str(package.uuid), tuple(files), puid, skip, count, _PAGE)
