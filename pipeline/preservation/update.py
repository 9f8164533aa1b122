"""A stored AIP changed: metadata added or replaced, a representation added, as a new version.

The identifier stays (AIPM1), earlier versions stay as they are, and only new bytes are stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packages.identifiers import IngestId, PackageId
from packages.mets import archivematica
from packages.mets.csip_writer import MetsHeader, PackageType, Reference, aligned, root_mets
from packages.mets.reading import read_mets
from packages.mets.root_reading import RootMets, read_root_mets
from packages.package_file import MetadataFile, PackageFile, timestamp
from packages.paths import bag_encode, escape_reason, rename_reason
from packages.premis import EventType
from packages.premis.reading import iter_files
from packages.xml_text import encoded
from pipeline.agreement import Agreement
from pipeline.context import IngestContext
from pipeline.describe.metadata_files import Shelf
from pipeline.errors import DamagedArchive, PipelineError, UnknownPackage
from pipeline.export import AipReader
from pipeline.ingest import Archive, run_context
from pipeline.presence import require_present
from pipeline.preservation.added_representation import AddedRepresentation, Derived, add_representation
from pipeline.preservation.premis_update import updated_premis
from pipeline.protection import protection_of
from pipeline.stored_record import read_stored_record
from schemas.xml import XmlRefused, parse
from storage.catalogue import AipRow
from storage.copies import ArchivalStore, Role
from storage.errors import ObjectMissing, StorageError, StoreUnavailable
from storage.ocfl.inventory import StoredVersion, VersionInfo
from storage.ocfl.objects import OcflRepository, StoredFile
from storage.protocol import Protection

__all__ = ["Change", "UpdateRefused", "Updated", "update_aip"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
_MDTYPES = {"dc.xml": "DC", "ead.xml": "EAD", "mods.xml": "MODS", "eac.xml": "EAC-CPF"}


class UpdateRefused(PipelineError):
    """What should be added is not fit for it; the message says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to change, why, and who says so.

    ``metadata`` are XML files for ``metadata/descriptive/``, each replacing one of the same name;
    ``representation`` is a folder of files that becomes the representation ``name``.
    """

    reason: str
    person: str
    metadata: tuple[Path, ...] = ()
    representation: Path | None = None
    name: str = "rep2"
    derived: Mapping[str, Derived] = field(default_factory=dict)
    """Where files of the representation were made from others, by their path in the folder."""


@dataclass(frozen=True, slots=True)
class Updated:
    """A new version in every required store. ``files`` and ``bytes`` were written for it."""

    aip: str
    version: str
    files: int
    bytes: int
    owed: tuple[tuple[str, str], ...]


def update_aip(aip: str, change: Change, archive: Archive) -> Updated:
    """Make the next version of an AIP.

    Raises UnknownPackage, UpdateRefused; Busy while another process works on it; StoreUnavailable
    when a required store cannot be written (a version that one store has already is brought to the
    others by replication).
    """
    package = PackageId.parse(aip)
    row = archive.catalogue.aip(aip)
    if row is None or row.state != "kept":
        raise UnknownPackage(f"the archive has no AIP {aip}")
    _check(change)
    lock = IngestId.derive(agreement="", external_identifier=f"update {aip}", content_digest="")
    now = timestamp(archive.clock())
    archive.catalogue.begin_ingest(str(lock), f"update of {aip}", row.agreement, now)
    outcome = "failed"
    try:
        reader = AipReader(package, _current(archive, row))
        agreement = Agreement.model_validate_json(_read(reader, "documentation/agreement.json"))
        protection = protection_of(archive.catalogue, row)
        with run_context(change.representation or Path(aip), agreement, archive) as context:
            updated = _Update(reader, change, archive, context, protection).run()
        outcome = "stored"
        return updated
    finally:
        archive.catalogue.finish_ingest(
            str(lock), subject=f"update of {aip}", agreement=row.agreement, outcome=outcome, aip=aip,
            now=timestamp(archive.clock()), report="{}",
        )  # fmt: skip


def _current(archive: Archive, row: AipRow) -> tuple[OcflRepository, ...]:
    """The stores whose copy is of the version the catalogue knows; every required one must be.

    Raises StoreRefused, StoreUnavailable, DamagedArchive: on an older copy two versions would
    get the same number.
    """
    current = []
    for one in archive.stores:
        try:
            require_present(one, archive.catalogue)
            if one.repository.inventory_digest(row.id) == row.inventory_sha512:
                current.append(one.repository)
                continue
            reason = "holds another version"
        except (ObjectMissing, StoreUnavailable) as error:
            reason = str(error)
        if one.role is Role.REQUIRED:
            raise DamagedArchive(
                f"store “{one.name}” has not got {row.version} of {row.id} ({reason}); "
                "run “stele store repair” or “stele store replicate” first"
            )
    return tuple(current)


def _check(change: Change) -> None:
    if not change.reason.strip() or not change.person.strip():
        raise UpdateRefused("an update needs a reason and the name of who makes it")
    if not change.metadata and change.representation is None:
        raise UpdateRefused("there is nothing to update: name metadata files or a representation")
    if not _NAME.fullmatch(change.name):
        raise UpdateRefused(f"“{change.name}” is no name for a representation (letters, digits, _ and -)")
    for path in change.metadata:
        if escape_reason(path.name) or rename_reason(path.name) or not path.name.endswith(".xml"):
            raise UpdateRefused(f"{path.name} is no name for a metadata file (NAME.xml)")
        try:
            parse(path.read_bytes())
        except XmlRefused as error:
            raise UpdateRefused(f"{path} cannot be used: {error.reason}") from error


def _read(reader: AipReader, path: str) -> bytes:
    content = reader.content(f"data/{reader.package.objid}/{path}")
    if content is None:
        raise UpdateRefused(f"{path} of {reader.package.urn} is damaged in every store; repair it first")
    return content


class _Update:
    def __init__(
        self,
        reader: AipReader,
        change: Change,
        archive: Archive,
        context: IngestContext,
        protection: Protection,
    ) -> None:
        self._reader = reader
        self._protection = protection
        self._change = change
        self._archive = archive
        self._context = context
        self._package = reader.package
        self._root = f"data/{self._package.objid}"
        self._shelf = Shelf(context.work / "metadata", self._root)
        self._state = {entry.logical: entry.sha512 for entry in reader.inventory.state()}
        self._mets: RootMets = read_root_mets(_read(reader, "METS.xml"))

    def run(self) -> Updated:
        added = self._representation()
        descriptive = self._descriptive()
        representations = self._mets.representations + ((added.mets,) if added else ())
        premis = self._shelf.write("metadata/preservation/premis.xml", iter([self._premis(added)]))
        preservation = [Reference("dp-premis", premis, "PREMIS", "3.0")]
        listed = [premis, *(r.file for r in descriptive), *self._mets.documentation, *self._mets.schemas]
        listed += [*representations, *self._premis_of_representations(added)]
        sidecar, removed = self._sidecar(added, listed)
        if sidecar:
            preservation.append(Reference("dp-mets", sidecar, "OTHER", other="METS"))
        self._shelf.write(
            "METS.xml",
            aligned(
                root_mets(
                    header=self._header(),
                    descriptive=descriptive,
                    preservation=tuple(preservation),
                    documentation=self._mets.documentation,
                    schemas=self._mets.schemas,
                    representations=representations,
                )
            ),
        )
        self._bag(added, removed)
        files = [*self._shelf.stored_files(), *(added.files if added else ())]
        return self._store(files, removed)

    def _header(self) -> MetsHeader:
        software = self._context.software
        return MetsHeader(
            self._package.objid, self._mets.label, PackageType.AIP, self._mets.created,
            software.name, software.version, modified=self._context.clock(),
        )  # fmt: skip

    def _representation(self) -> AddedRepresentation | None:
        folder, name = self._change.representation, self._change.name
        if folder is None:
            return None
        if any(path.startswith(f"{self._root}/representations/{name}/") for path in self._state):
            raise UpdateRefused(f"there is a representation “{name}” already; choose another --name")
        return add_representation(
            folder, name, self._package, self._header(), self._shelf, self._context, self._change.derived
        )

    def _descriptive(self) -> tuple[Reference, ...]:
        references = {reference.file.path: reference for reference in self._mets.descriptive}
        for path in self._change.metadata:
            target = f"metadata/descriptive/{path.name}"
            file = self._shelf.write(target, iter([path.read_bytes()]))
            mdtype = _MDTYPES.get(path.name.lower(), "OTHER")
            other = "" if mdtype != "OTHER" else path.stem[:40]
            old = references.get(target)
            identifier = old.id if old else f"dmd-{len(references) + 1}"
            references[target] = Reference(identifier, file, mdtype, other=other)
        return tuple(references.values())

    def _premis(self, added: AddedRepresentation | None) -> bytes:
        kind = EventType.MODIFICATION if added else EventType.METADATA_MODIFICATION
        names = [path.name for path in self._change.metadata] + ([self._change.name] if added else [])
        return updated_premis(
            _read(self._reader, "metadata/preservation/premis.xml"),
            kind=kind,
            detail=f"{', '.join(names)}: {self._change.reason}",
            person=self._change.person,
            added=added,
            context=self._context,
            entity=self._package.child("entity"),
        )

    def _premis_of_representations(self, added: AddedRepresentation | None) -> Iterator[MetadataFile]:
        for mets in self._mets.representations:
            path = mets.path.removesuffix("METS.xml") + "metadata/preservation/premis.xml"
            logical = f"{self._root}/{path}"
            yield MetadataFile(path, self._reader.size(logical), self._state[logical], "application/xml")
        if added:
            yield added.premis

    def _sidecar(
        self, added: AddedRepresentation | None, listed: list[MetadataFile]
    ) -> tuple[MetadataFile | None, list[str]]:
        """The Archivematica METS of this version, or that of the last one to be dropped."""
        path = f"metadata/preservation/METS.{self._package.uuid}.xml"
        content = [
            (f"representations/{name}/data", self._package.child("representation", name), files)
            for name, files in self._representations(added)
        ]
        if sum(len(files) for *_, files in content) > self._context.sidecar_limit:
            return None, [f"{self._root}/{path}"] if f"{self._root}/{path}" in self._state else []
        document = archivematica.write(
            objid=self._package.objid,
            created=self._mets.created,
            content=content,
            metadata=listed,
            provenance=archivematica.Provenance((), (self._context.software.agent,), ()),
        )
        return self._shelf.write(path, iter([document])), []

    def _representations(
        self, added: AddedRepresentation | None
    ) -> Iterator[tuple[str, list[PackageFile]]]:
        for mets in self._mets.representations:
            name = mets.path.split("/")[1]
            yield name, list(self._files_of(name))
        if added:
            yield added.representation.name, list(added.worklist.package_files())

    def _files_of(self, name: str) -> Iterator[PackageFile]:
        """The files of a representation as METS and PREMIS describe them."""
        folder = f"{self._root}/representations/{name}"
        with self._reader.open(f"{folder}/METS.xml") as stream:
            listed = {f.id.removeprefix("file-"): f.path for f in read_mets(stream, name).files}
        with self._reader.open(f"{folder}/metadata/preservation/premis.xml") as stream:
            for file in iter_files(stream):
                path = listed[file.id].removeprefix("data/")
                yield PackageFile(
                    file.id, path, file.original, file.size, file.sha512, self._mets.created, file.format
                )

    def _bag(self, added: AddedRepresentation | None, removed: list[str]) -> None:
        """The tag files of the bag this version is."""
        changed = {f.logical: f for f in (*self._shelf.stored_files(), *(added.files if added else ()))}
        info = self._reader.content("bag-info.txt")
        if info is None:
            raise UpdateRefused("bag-info.txt is damaged in every store; repair it first")
        old = re.search(rb"^Payload-Oxum: (\d+)\.(\d+)$", info, re.MULTILINE)
        assert old is not None, "we wrote it"
        size, number = int(old.group(1)), int(old.group(2))
        gone = [path for path in (*changed, *removed) if path in self._state]
        size += sum(f.size for f in changed.values()) - sum(self._reader.size(path) for path in gone)
        number += len(changed) - len(gone)
        info = re.sub(rb"(?m)^Payload-Oxum: .*$", f"Payload-Oxum: {size}.{number}".encode(), info)
        today = self._context.clock().date().isoformat()
        info = re.sub(rb"(?m)^Bagging-Date: .*$", f"Bagging-Date: {today}".encode(), info)
        state = {path: digest for path, digest in self._state.items() if path.startswith("data/")}
        state.update((path, file.sha512) for path, file in changed.items())
        for path in removed:
            del state[path]
        lines = (f"{digest}  {bag_encode(path)}\n" for path, digest in sorted(state.items()))
        write = self._shelf.write
        tags = {
            "bag-info.txt": write("bag-info.txt", iter([info]), mime="text/plain", bag=True).sha512,
            "bagit.txt": self._state["bagit.txt"],
            "manifest-sha512.txt": write(
                "manifest-sha512.txt", encoded(lines), mime="text/plain", bag=True
            ).sha512,
        }
        tag_lines = "".join(f"{digest}  {name}\n" for name, digest in tags.items())
        write("tagmanifest-sha512.txt", iter([tag_lines.encode()]), mime="text/plain", bag=True)

    def _store(self, files: list[StoredFile], removed: list[str]) -> Updated:
        aip, archive, context = self._package.urn, self._archive, self._context
        info = VersionInfo(
            created=timestamp(context.clock()),
            message=f"{self._change.reason} ({self._change.person})",
            user=context.software.name,
            address=f"mailto:{context.agreement.archive.email or 'archive@stele.invalid'}",
        )
        files = [f for f in files if self._state.get(f.logical) != f.sha512]
        in_order = sorted(archive.stores, key=lambda one: one.role is not Role.REQUIRED)
        first = next(one for one in in_order if one.repository is self._reader.first)
        version = first.repository.add_version(
            aip,
            files,
            removed,
            info,
            opaque=context.agreement.opaque_paths,
            protection=self._protection,
        )
        held, owed = self._other_stores(first, in_order)
        self._register(first, version, held, owed)
        known = set(self._state.values())
        new = {f.sha512: f.size for f in files if f.sha512 not in known}
        return Updated(aip, version.version, len(new), sum(new.values()), tuple(owed))

    def _other_stores(
        self, first: ArchivalStore, stores: list[ArchivalStore]
    ) -> tuple[list[str], list[tuple[str, str]]]:
        held, owed = [first.name], []
        for one in stores:
            if one is first:
                continue
            try:
                one.repository.copy_from(
                    first.repository,
                    self._package.urn,
                    protection=self._protection,
                )
                held.append(one.name)
            except StorageError as error:
                owed.append((one.name, str(error)))  # replication brings it up to date
        return held, owed

    def _register(
        self,
        first: ArchivalStore,
        version: StoredVersion,
        held: list[str],
        owed: list[tuple[str, str]],
    ) -> None:
        record = read_stored_record(first.repository, self._package.urn)
        self._archive.catalogue.register(
            record.aip,
            stores=held,
            formats=record.formats,
            events=record.events,
            files=record.files(),
            owed=owed,
            message=version.message,
            version_created=version.created,
            verified=version.created,
        )
