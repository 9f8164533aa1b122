"""Stage 5: the AIP becomes version v1 of an OCFL object in every store, each copy proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packages.package_file import timestamp
from packages.problem_catalogue import problem
from pipeline.context import IngestContext
from pipeline.describe import PlannedAip
from pipeline.errors import DamagedArchive, PipelineError
from pipeline.protection import protection_by
from storage.catalogue import CopyRow
from storage.copies import ArchivalStore, CopyState, Role
from storage.errors import InventoryUnreadable, ObjectExists, ObjectMissing, StoreUnavailable
from storage.fixity import audit_copy, trusted_inventory
from storage.ocfl.inventory import VersionInfo
from storage.ocfl.objects import OcflRepository
from storage.protocol import Protection

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


def store(planned: PlannedAip, stores: Sequence[ArchivalStore], context: IngestContext) -> StoredAip:
    """Write to all stores, required ones first; those that hold it already are left alone.

    Every copy is the same to the byte. Raises StoreUnavailable when a required store cannot be
    used, WriteMismatch, and TooFewStores.
    """
    info = VersionInfo(
        created=timestamp(context.clock()),
        message=f"Ingest of {context.subject_name}",
        user=context.software.name,
        address=f"mailto:{context.agreement.archive.email or 'archive@stele.invalid'}",
    )
    urn = planned.package_id.urn
    in_order = sorted(stores, key=lambda one: one.role is not Role.REQUIRED)
    found_in = holder = _holder(in_order, urn, protection_by(context.agreement))
    copies: list[CopyRow] = []
    digest = holder.inventory_digest(urn) if holder else ""
    for one in in_order:
        repository = one.repository
        try:
            if holder is None:
                created = _create(planned, repository, info, context)
                holder = repository
                if created is None:  # finished just now from what a killed run had written
                    found_in, digest = repository, repository.inventory_digest(urn)
                    _require_intact(one, urn, digest)
                else:
                    digest = created
            elif repository.holds(urn) or not repository.copy_from(
                holder,
                urn,
                first_attempt=context.attempt == 1,
                protection=protection_by(context.agreement),
            ):
                _require_intact(one, urn, digest)
            now = timestamp(context.clock())
            copies.append(CopyRow(urn, one.name, "v1", now, str(CopyState.VERIFIED), "", now))
        except StoreUnavailable as error:
            if one.role is Role.REQUIRED:
                raise
            copies.append(CopyRow(urn, one.name, "", "", str(CopyState.OWED), error.reason, ""))
            context.add(problem("STORE-OWED", found=f"{one.name}: {error.reason}"))
    required = context.agreement.required_copies
    verified = sum(1 for copy in copies if copy.state == CopyState.VERIFIED)
    if holder is None or verified < required:
        raise TooFewStores(
            f"agreement “{context.agreement.name}” requires {required} verified copies, "
            f"{verified} of {len(stores)} store(s) could be written"
        )
    return StoredAip(planned, "v1", info.created, digest, tuple(copies), found_in)


def _require_intact(store: ArchivalStore, urn: str, digest: str) -> None:
    """Read a copy that an interrupted run left: “stored” is said of what was seen, not of what is
    probably there. Raises DamagedArchive, StoreUnavailable.
    """
    repository = store.repository
    with trusted_inventory([repository], urn, digest) as trusted:
        if trusted is None:
            raise DamagedArchive(
                f"store “{store.name}” holds {urn} from an interrupted run with another inventory; "
                "compare the stores before one is replaced"
            )
        seen = audit_copy(repository, urn, trusted, {})
    if seen.state is CopyState.UNREADABLE:
        raise StoreUnavailable(store.name, seen.reason)
    if seen.state is not CopyState.VERIFIED:
        first = seen.findings[0] if seen.findings else None
        raise DamagedArchive(
            f"store “{store.name}” holds {urn} from an interrupted run, and {seen.wrong} object(s) are not "
            f"as they were written{f', first {first.key} ({first.kind})' if first else ''}"
        )


def _holder(stores: Sequence[ArchivalStore], urn: str, protection: Protection) -> OcflRepository | None:
    """A store that an earlier, interrupted run filled; a commit that it left damaged is finished."""
    for one in stores:
        repository = one.repository
        try:
            if repository.holds(urn):
                try:
                    repository.inventory(urn).close()
                except (InventoryUnreadable, ObjectMissing):
                    if not repository.finish_commit(urn, protection):
                        raise
                return repository
        except StoreUnavailable:
            if one.role is Role.REQUIRED:
                raise
    return None


def _create(
    planned: PlannedAip, repository: OcflRepository, info: VersionInfo, context: IngestContext
) -> str | None:
    """The digest of the inventory; None when the object is that of an earlier run after all."""
    urn = planned.package_id.urn
    # Opaque keys are made of digests, so leftovers of another attempt would not be in their way.
    clean = context.attempt == 1 and not context.agreement.opaque_paths

    def create(*, first_attempt: bool) -> str:
        return repository.create(
            urn,
            planned.stored_files(),
            info,
            opaque=context.agreement.opaque_paths,
            first_attempt=first_attempt,
            protection=protection_by(context.agreement),
            progress=lambda size: context.progress("store", size, 1),
        )

    try:
        try:
            return create(first_attempt=clean)
        except ObjectExists:
            if not clean or repository.holds(urn):
                raise
            return create(first_attempt=False)  # a killed attempt of which the catalogue is lost
    except ObjectExists:
        if not repository.holds(urn):
            raise
        return None
