"""Stage 5: the AIP becomes version v1 of an OCFL object in every store, each copy proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packages.package_file import timestamp
from packages.paths import printable
from pipeline.context import IngestContext
from pipeline.describe import PlannedAip
from pipeline.errors import PipelineError
from storage.errors import ObjectExists
from storage.ocfl.inventory import VersionInfo
from storage.ocfl.objects import OcflRepository

__all__ = ["StoredAip", "store"]


class TooFewStores(PipelineError):
    """The agreement asks for more copies than there are stores."""


@dataclass(frozen=True, slots=True)
class StoredAip:
    """An AIP in custody: every one of ``stores`` holds a verified copy of ``version``.

    ``found_in`` is the store that held it already, from a run that was killed after its commit.
    """

    planned: PlannedAip
    version: str
    created: str
    inventory_sha512: str
    stores: tuple[str, ...]
    found_in: OcflRepository | None


def store(planned: PlannedAip, repositories: Sequence[OcflRepository], context: IngestContext) -> StoredAip:
    """Write to all stores; those that hold it from an earlier, interrupted run are left alone.

    Raises StoreUnavailable, WriteMismatch; TooFewStores.
    """
    required = context.agreement.required_copies
    if len(repositories) < required:
        raise TooFewStores(
            f"agreement “{context.agreement.name}” requires {required} copies, "
            f"only {len(repositories)} store(s) are configured"
        )
    info = VersionInfo(
        created=timestamp(context.clock()),
        message=f"Ingest of {printable(context.subject.name)}",
        user=context.software.name,
        address=f"mailto:{context.agreement.archive.email or 'archive@stele.invalid'}",
    )
    urn = planned.package_id.urn
    found_in = holder = next((r for r in repositories if r.holds(urn)), None)
    digest = ""
    for repository in repositories:
        if repository is holder:
            digest = repository.inventory_digest(urn)
        elif holder is not None:
            # Every copy is the same to the byte, also when an earlier run was cut off half way.
            if not repository.holds(urn):
                digest = repository.copy_from(holder, urn)
        else:
            digest = _create(planned, repository, info, context)
            holder = repository
    names = tuple(r.store.name for r in repositories)
    return StoredAip(planned, "v1", info.created, digest, names, found_in)


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
