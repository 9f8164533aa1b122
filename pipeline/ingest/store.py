"""Stage 5: the AIP becomes version v1 of an OCFL object in every store, each copy proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packages.package_file import timestamp
from packages.problems.catalogue import problem
from pipeline.context import IngestContext
from pipeline.errors import DamagedArchive, PipelineError
from pipeline.holdings.protection import protection_by
from pipeline.holdings.quarantine import Quarantine
from pipeline.ingest.describe import PlannedAip
from pipeline.stage_report import StageReport
from storage.catalogue import CopyRow
from storage.errors import InventoryUnreadable, ObjectExists, ObjectMissing, StoreUnavailable
from storage.ocfl.inventory import INVENTORY, SIDECAR, VersionInfo
from storage.ocfl.layout import NAMASTE_OBJECT
from storage.ocfl.object_copy import copy_object
from storage.ocfl.repository import OcflRepository
from storage.replicas.fixity import audit_copy, trusted_inventory
from storage.replicas.store import ArchivalStore, Role
from storage.states import CopyState

__all__ = ["StoredAip", "TooFewStores", "store"]


class TooFewStores(PipelineError):
    """The agreement asks for more verified copies than could be made."""


@dataclass(frozen=True, slots=True)
class StoredAip:
    """An AIP in custody: ``copies`` says of each store what is known of the copy there.

    A copy is verified that this run wrote and proved, or read whole. ``found_in`` is the store that
    held the AIP already, from a run that was killed after its commit.
    """

    planned: PlannedAip
    version: str
    created: str
    inventory_sha512: str
    copies: tuple[CopyRow, ...]
    found_in: OcflRepository | None


def store(
    planned: PlannedAip, stores: Sequence[ArchivalStore], context: IngestContext
) -> tuple[StoredAip, StageReport]:
    """Write to all stores, required ones first; those that hold it already are left alone.

    Every copy is the same to the byte. Raises StoreUnavailable when a required store cannot be
    used, WriteMismatch, and TooFewStores.
    """
    # Opaque keys are made of digests, so leftovers of another attempt would not be in their way.
    clean = context.attempt == 1 and not context.agreement.opaque_paths
    report = context.report("store")
    try:
        return _store(planned, stores, context, report, clean=clean), report
    except ObjectExists:
        if not clean:
            raise
    # A killed attempt that the catalogue does not know: it was lost, or the power was cut.
    report = context.report("store")
    return _store(planned, stores, context, report, clean=False), report


def _store(
    planned: PlannedAip,
    stores: Sequence[ArchivalStore],
    context: IngestContext,
    report: StageReport,
    *,
    clean: bool,
) -> StoredAip:
    """``clean``: nothing is looked for that an earlier attempt may have left."""
    info = VersionInfo(
        created=timestamp(context.clock()),
        message=f"Ingest of {context.subject_name}",
        user=context.software.name,
        address=f"mailto:{context.agreement.archive.email or 'archive@stele.invalid'}",
    )
    urn = planned.package_id.urn
    in_order = sorted(stores, key=lambda one: one.role is not Role.REQUIRED)
    left = _left_by_earlier_runs(in_order, urn, context, clean=clean)
    found_in = holder = next((one.repository for one in in_order if one.name in left), None)
    copies: list[CopyRow] = []
    digest = holder.inventory_digest(urn) if holder else ""
    for one in in_order:
        repository = one.repository
        try:
            if holder is None:
                digest = _create(planned, repository, info, context, clean=clean)
                holder = repository
            elif one.name not in left:
                protection = protection_by(context.agreement)
                written = copy_object(holder, repository, urn, first_attempt=clean, protection=protection)
                if not written and _intact_digest(one, urn, committed=True) != digest:
                    raise StoreUnavailable(one.name, _READS_OTHERWISE)
            now = timestamp(context.clock())
            copies.append(CopyRow(urn, one.name, "v1", now, str(CopyState.VERIFIED), "", now))
        except StoreUnavailable as error:
            if one.role is Role.REQUIRED:
                raise
            copies.append(CopyRow(urn, one.name, "", "", str(CopyState.PENDING), error.reason, ""))
            report.add(problem("STORE-PENDING", found=f"{one.name}: {error.reason}"))
    required = context.agreement.required_copies
    verified = sum(1 for copy in copies if copy.state == CopyState.VERIFIED)
    if holder is None or verified < required:
        raise TooFewStores(
            f"agreement “{context.agreement.name}” requires {required} verified copies, "
            f"{verified} of {len(stores)} store(s) could be written"
        )
    return StoredAip(planned, "v1", info.created, digest, tuple(copies), found_in)


def _left_by_earlier_runs(
    stores: Sequence[ArchivalStore], urn: str, context: IngestContext, *, clean: bool
) -> set[str]:
    """The stores that hold the AIP already, from runs that were killed, and every byte of it right.

    “Stored” is said of what was seen, so each of these copies is read. Of the others nothing is left
    when this returns: what is damaged is kept in quarantine first, for the submission itself is here
    and the catalogue knows nothing of the AIP. Raises StoreUnavailable, DamagedArchive.
    """
    protection, intact, digests = protection_by(context.agreement), set(), set()
    for one in stores:
        try:
            repository = one.repository
            committed = repository.holds(urn)
            if not committed and (clean or repository.written_version(urn) is None):
                continue
            digest = _intact_digest(one, urn, committed=committed)
            if digest and not committed and not repository.finish_commit(urn, protection):
                raise StoreUnavailable(one.name, _READS_OTHERWISE)
            if digest is None:
                _take_away(one, urn, context)
                continue
            intact.add(one.name)
            digests.add(digest)
        except StoreUnavailable:
            if one.role is Role.REQUIRED:
                raise
    if len(digests) > 1:
        raise DamagedArchive(
            f"the stores {', '.join(sorted(intact))} hold different AIPs of the id {urn}, from runs that "
            "were interrupted; compare them before one is replaced"
        )
    return intact


_READS_OTHERWISE = "what an interrupted run left there is not read as it was written"
_COMMIT_WRITES = {INVENTORY, SIDECAR, NAMASTE_OBJECT[0]}


def _intact_digest(store: ArchivalStore, urn: str, *, committed: bool) -> str | None:
    """The digest of a copy's inventory, when it is the only version and every byte is right.

    Of one that is not committed only what the commit writes may lack. Its inventory proves nothing
    here: a power cut may have kept it and not the content that was written before. Raises
    DamagedArchive where there are more versions: then it is an AIP that the catalogue has forgotten,
    and StoreUnavailable.
    """
    repository = store.repository
    try:
        if committed:
            with repository.inventory(urn) as inventory:
                digest, versions = inventory.sha512, len(inventory.versions)
        else:
            written = repository.written_version(urn)
            if written is None:
                return None
            versions, digest = int(written[0].removeprefix("v")), written[1]
    except (InventoryUnreadable, ObjectMissing):
        return None
    if versions > 1:
        raise DamagedArchive(
            f"store “{store.name}” holds {versions} versions of {urn}, which the catalogue does not know; "
            "run “stele store rebuild” first"
        )
    with trusted_inventory([repository], urn, digest) as trusted:
        if trusted is None:
            return None
        seen = audit_copy(repository, urn, trusted, {})
    if seen.state is CopyState.UNREADABLE:
        raise StoreUnavailable(store.name, seen.reason)
    still_to_write = set() if committed else _COMMIT_WRITES
    wrong = seen.wrong - sum(1 for one in seen.findings if one.key in still_to_write)
    return digest if wrong == 0 and seen.objects else None


def _take_away(store: ArchivalStore, urn: str, context: IngestContext) -> None:
    """Keep a damaged leftover in quarantine, and make room for the AIP."""
    repository = store.repository
    root = repository.layout.object_root(urn)
    if repository.has_version(urn, "v2"):
        raise DamagedArchive(
            f"store “{store.name}” holds a damaged {urn} of several versions, which the catalogue does not "
            "know; run “stele store rebuild” and “stele store repair” first"
        )
    moment = timestamp(context.clock()).replace(":", "")
    quarantine = Quarantine(context.quarantine / moment / store.name / urn.replace(":", "-"))
    for key in repository.store.list(f"{root}/"):
        quarantine.keep(repository.store, key, key.removeprefix(f"{root}/"))
    repository.remove(urn)


def _create(
    planned: PlannedAip,
    repository: OcflRepository,
    info: VersionInfo,
    context: IngestContext,
    *,
    clean: bool,
) -> str:
    """Store v1; the digest of its inventory."""
    return repository.create(
        planned.package_id.urn,
        planned.stored_files(),
        info,
        opaque=context.agreement.opaque_paths,
        first_attempt=clean,
        protection=protection_by(context.agreement),
        progress=lambda size: context.progress("store", size, 1),
    )
