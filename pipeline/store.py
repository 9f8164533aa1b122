"""Stage 5: the AIP becomes version v1 of an OCFL object in every store, each copy proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packages.package_file import timestamp
from packages.problem_catalogue import problem
from pipeline.context import IngestContext
from pipeline.describe import PlannedAip
from pipeline.errors import PipelineError
from pipeline.protection import protection_by
from storage.copies import ArchivalStore, Role
from storage.errors import InventoryUnreadable, ObjectExists, ObjectMissing, StoreUnavailable
from storage.ocfl.inventory import VersionInfo
from storage.ocfl.objects import OcflRepository
from storage.protocol import Protection

__all__ = ["StoredAip", "store"]


class TooFewStores(PipelineError):
    """The agreement asks for more verified copies than could be made."""


@dataclass(frozen=True, slots=True)
class StoredAip:
    """An AIP in custody: every one of ``stores`` holds a verified copy of ``version``.

    ``owed`` are secondary stores that could not be reached, each with the reason; replication
    fills them. ``found_in`` is the store that held the AIP already, from a run that was killed
    after its commit.
    """

    planned: PlannedAip
    version: str
    created: str
    inventory_sha512: str
    stores: tuple[str, ...]
    owed: tuple[tuple[str, str], ...]
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
    held, owed, digest = [], [], ""
    for one in in_order:
        repository = one.repository
        try:
            if holder is None:
                digest = _create(planned, repository, info, context)
                holder = repository
            elif not repository.holds(urn):
                repository.copy_from(
                    holder,
                    urn,
                    first_attempt=context.attempt == 1,
                    protection=protection_by(context.agreement),
                )
            held.append(one.name)
        except StoreUnavailable as error:
            if one.role is Role.REQUIRED:
                raise
            owed.append((one.name, error.reason))
            context.add(problem("STORE-OWED", found=f"{one.name}: {error.reason}"))
    required = context.agreement.required_copies
    if holder is None or len(held) < required:
        raise TooFewStores(
            f"agreement “{context.agreement.name}” requires {required} verified copies, "
            f"{len(held)} of {len(stores)} store(s) could be written"
        )
    digest = digest or holder.inventory_digest(urn)
    return StoredAip(planned, "v1", info.created, digest, tuple(held), tuple(owed), found_in)


def _holder(stores: Sequence[ArchivalStore], urn: str, protection: Protection) -> OcflRepository | None:
    """A store that an earlier, interrupted run filled; a commit that it left damaged is finished."""
    for one in stores:
        repository = one.repository
        try:
            if repository.holds(urn):
                try:
                    repository.inventory(urn)
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
) -> str:
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
        return repository.inventory_digest(urn)
