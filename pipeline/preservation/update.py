"""A stored AIP changed: metadata added or replaced, a representation added, as a new version.

The identifier stays (AIPM1), earlier versions stay as they are, and only new bytes are stored.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packages.aip.layout import (
    AGREEMENT,
    DESCRIPTIVE,
    METS,
    PREMIS,
    AipLayout,
    archivematica_mets,
    content_folder,
    representation_folder,
)
from packages.bag.writer import manifest_line
from packages.identifiers import PackageId
from packages.mets import archivematica
from packages.mets.csip_reader import read_mets
from packages.mets.csip_writer import MetsHeader, PackageType, Reference, pad_to_chunks, root_mets
from packages.mets.root_reader import RootMets, read_root_mets
from packages.package_file import MetadataFile, PackageFile, timestamp
from packages.paths import escape_reason, rename_reason
from packages.premis import EventType
from packages.premis.reader import iter_files
from packages.xml_text import encoded
from pipeline.agreement import Agreement
from pipeline.aip_writing.metadata_writer import MetadataWriter
from pipeline.archive import Archive, run_context
from pipeline.context import IngestContext
from pipeline.errors import DamagedArchive, PipelineError, UnknownPackage
from pipeline.holdings.aip_reader import AipReader
from pipeline.holdings.leases import WAIT_FOR_PERSON_S, LeasedAip, leased_aip
from pipeline.holdings.presence import require_present
from pipeline.holdings.versions import commit_version
from pipeline.preservation.added_representation import AddedRepresentation, Derived, add_representation
from pipeline.preservation.update_events import updated_premis
from schemas.xml import XmlRefused, parse
from storage.catalogue import AipRow
from storage.errors import ObjectMissing, StoreUnavailable
from storage.ocfl.inventory import VersionInfo
from storage.ocfl.repository import FileToStore
from storage.replicas.store import ArchivalStore, Role
from storage.states import AipState, CopyState

__all__ = ["Change", "UpdateRefused", "Updated", "update_aip", "update_leased"]

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
    """A new version in every required store. ``files`` and ``bytes`` were written for it; ``pending``
    are secondary stores that lack it, each with the reason."""

    aip: str
    version: str
    files: int
    bytes: int
    pending: tuple[tuple[str, str], ...]


def update_aip(aip: str, change: Change, archive: Archive, *, wait_s: float = WAIT_FOR_PERSON_S) -> Updated:
    """Make the next version of an AIP.

    Raises UnknownPackage, UpdateRefused; Busy while another process works on it; StoreUnavailable
    when a required store cannot be written (a version that one store has already is brought to the
    others by replication).
    """
    _check(change)
    with leased_aip(archive, aip, "update", wait_s=wait_s) as leased:
        return update_leased(leased, aip, change)


def update_leased(leased: LeasedAip, aip: str, change: Change) -> Updated:
    """As ``update_aip``, for a caller that has the AIP's lease."""
    archive, row = leased.archive, leased.row
    if row is None or row.state != AipState.KEPT:
        raise UnknownPackage(f"the archive has no AIP {aip}")
    request = _fingerprint(change)
    newest = archive.catalogue.versions.of(aip)[-1]
    if newest.request == request:  # the same command again: it was killed after its work was done
        return _done_before(archive, row)
    current = _current(archive, row)
    package = PackageId.parse(aip)
    with AipReader(package, [one.repository for one in current]) as reader:
        agreement = Agreement.model_validate_json(_read(reader, AGREEMENT))
        with run_context(change.representation or Path(aip), agreement, archive) as context:
            update = _Update(reader, change, context)
            files, removed = update.files()
            first = next(one for one in current if one.repository is reader.first)
            changed = update.changed(files)
            committed = commit_version(
                archive, row, first, changed, removed, update.info(),
                opaque=agreement.opaque_paths, request=request,
            )  # fmt: skip
            new = update.new_content(changed)
    return Updated(aip, committed.facts.version, len(new), sum(new.values()), committed.pending)


def _done_before(archive: Archive, row: AipRow) -> Updated:
    """What an earlier run of the same command came to. Raises StoreUnavailable as that run did."""
    pending = tuple(
        (copy.store, copy.detail)
        for copy in archive.catalogue.copies.of(row.id)
        if copy.version != row.version or copy.state == CopyState.PENDING
    )
    required = {one.name for one in archive.stores if one.role is Role.REQUIRED}
    for name, detail in pending:
        if name in required:
            reason = f"it lacks {row.version} of {row.id} ({detail}); run “stele store replicate”"
            raise StoreUnavailable(name, reason)
    return Updated(row.id, row.version, 0, 0, pending)


def _fingerprint(change: Change) -> str:
    """What an update asks for, so that asking for the same again is noticed.

    Metadata files count with their bytes, files of a representation with name, size and time.
    """
    hasher = hashlib.sha256()

    def add(*facts: object) -> None:
        for fact in facts:
            hasher.update(f"{fact}\0".encode("utf-8", "surrogateescape"))

    add(change.reason, change.person, change.name if change.representation else "")
    for path in sorted(change.metadata):
        add(path.name, hashlib.sha512(path.read_bytes()).hexdigest())
    if change.representation is not None:
        for path in sorted(change.representation.rglob("*")):
            status = path.lstat()
            add(path.relative_to(change.representation), status.st_size, status.st_mtime_ns)
    return hasher.hexdigest()


def _current(archive: Archive, row: AipRow) -> tuple[ArchivalStore, ...]:
    """The stores an update can start from, best first: they hold the version the catalogue knows, and
    no damage is known of it. Every required store must hold that version.

    Raises StoreRefused, StoreUnavailable, DamagedArchive: on an older copy two versions would
    get the same number, and damage would be carried on.
    """
    current: list[ArchivalStore] = []
    damaged: list[str] = []
    states = {copy.store: copy for copy in archive.catalogue.copies.of(row.id)}
    for one in sorted(archive.stores, key=lambda one: one.role is not Role.REQUIRED):
        try:
            require_present(one, archive.catalogue)
            if one.repository.inventory_digest(row.id) == row.inventory_sha512:
                known = states.get(one.name)
                if known is not None and known.state in (CopyState.VERIFIED, CopyState.UNVERIFIED):
                    current.append(one)
                else:
                    damaged.append(f"“{one.name}” ({known.state if known else 'unknown'})")
                continue
            reason = "holds another version"
        except (ObjectMissing, StoreUnavailable) as error:
            reason = str(error)
        if one.role is Role.REQUIRED:
            raise DamagedArchive(
                f"store “{one.name}” does not hold {row.version} of {row.id} ({reason}); "
                "run “stele store repair” or “stele store replicate” first"
            )
    if not current:
        raise DamagedArchive(
            f"no store is known to hold {row.version} of {row.id} intact: {', '.join(damaged)}; "
            "run “stele store repair” first"
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
    content = reader.content(AipLayout(reader.package).logical(path))
    if content is None:
        raise UpdateRefused(f"{path} of {reader.package.urn} is damaged in every store; repair it first")
    return content


class _Update:
    def __init__(self, reader: AipReader, change: Change, context: IngestContext) -> None:
        self._reader = reader
        self._change = change
        self._context = context
        self._package = reader.package
        self._layout = AipLayout(self._package)
        self._root = self._layout.root
        self._shelf = MetadataWriter(context.work / "metadata", self._root)
        self._mets: RootMets = read_root_mets(_read(reader, METS))

    def files(self) -> tuple[list[FileToStore], list[str]]:
        """Everything the new version needs, written and described; and the paths that go."""
        added = self._representation()
        descriptive = self._descriptive()
        representations = self._mets.representations + ((added.mets,) if added else ())
        premis = self._shelf.write(PREMIS, iter([self._premis(added)]))
        preservation = [Reference("dp-premis", premis, "PREMIS", "3.0")]
        listed = [premis, *(r.file for r in descriptive), *self._mets.documentation, *self._mets.schemas]
        listed += [*representations, *self._premis_of_representations(added)]
        sidecar, removed = self._sidecar(added, listed)
        if sidecar:
            preservation.append(Reference("dp-mets", sidecar, "OTHER", other="METS"))
        self._shelf.write(
            METS,
            pad_to_chunks(
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
        return [*self._shelf.stored_files(), *(added.files if added else ())], removed

    def changed(self, files: list[FileToStore]) -> list[FileToStore]:
        """Without those that are in the newest version already, under the same path."""
        return [file for file in files if self._digest(file.logical) != file.sha512]

    def new_content(self, files: list[FileToStore]) -> dict[str, int]:
        """What had to be stored: the bytes by digest of what no version had."""
        held = self._reader.inventory.content_of
        return {file.sha512: file.size for file in files if held(file.sha512) is None}

    def info(self) -> VersionInfo:
        """Who makes the version, when and why."""
        context = self._context
        return VersionInfo(
            created=timestamp(context.clock()),
            message=f"{self._change.reason} ({self._change.person})",
            user=context.software.name,
            address=f"mailto:{context.agreement.archive.email or 'archive@stele.invalid'}",
        )

    def _digest(self, logical: str) -> str:
        entry = self._reader.inventory.entry(logical)
        return entry.sha512 if entry else ""

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
        taken = self._reader.inventory.below(f"{self._layout.logical(representation_folder(name))}/")
        if next(iter(taken), None) is not None:
            raise UpdateRefused(f"there is a representation “{name}” already; choose another --name")
        return add_representation(
            folder, name, self._package, self._header(), self._shelf, self._context, self._change.derived
        )

    def _descriptive(self) -> tuple[Reference, ...]:
        references = {reference.file.path: reference for reference in self._mets.descriptive}
        for path in self._change.metadata:
            target = f"{DESCRIPTIVE}/{path.name}"
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
            _read(self._reader, PREMIS),
            kind=kind,
            detail=f"{', '.join(names)}: {self._change.reason}",
            person=self._change.person,
            added=added,
            context=self._context,
            entity=self._package.child("entity"),
        )

    def _premis_of_representations(self, added: AddedRepresentation | None) -> Iterator[MetadataFile]:
        for mets in self._mets.representations:
            path = mets.path.removesuffix(METS) + PREMIS
            logical = f"{self._root}/{path}"
            digest = self._reader.entry(logical).sha512
            yield MetadataFile(path, self._reader.size(logical), digest, "application/xml")
        if added:
            yield added.premis

    def _sidecar(
        self, added: AddedRepresentation | None, listed: list[MetadataFile]
    ) -> tuple[MetadataFile | None, list[str]]:
        """The Archivematica METS of this version, or that of the last one to be dropped."""
        path = archivematica_mets(self._package)
        if self._content_files(added) > self._context.archivematica_mets_limit:
            return None, [f"{self._root}/{path}"] if self._reader.has(f"{self._root}/{path}") else []
        content = [
            (content_folder(name), self._package.child("representation", name), files)
            for name, files in self._representations(added)
        ]
        document = archivematica.write(
            objid=self._package.objid,
            created=self._mets.created,
            content=content,
            metadata=listed,
            provenance=archivematica.Provenance((), (self._context.software.agent,), ()),
        )
        return self._shelf.write(path, iter([document])), []

    def _content_files(self, added: AddedRepresentation | None) -> int:
        """How many files of content the new version has."""
        number = len(added.files) if added else 0
        for mets in self._mets.representations:
            folder = mets.path.removesuffix(METS)
            number += sum(1 for _ in self._reader.inventory.below(f"{self._root}/{folder}data/"))
        return number

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
        folder = self._layout.logical(representation_folder(name))
        with self._reader.open(f"{folder}/{METS}") as stream:
            listed = {f.id.removeprefix("file-"): f.path for f in read_mets(stream, name).files}
        with self._reader.open(f"{folder}/{PREMIS}") as stream:
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
        gone = [path for path in (*changed, *removed) if self._reader.has(path)]
        size += sum(f.size for f in changed.values()) - sum(self._reader.size(path) for path in gone)
        number += len(changed) - len(gone)
        info = re.sub(rb"(?m)^Payload-Oxum: .*$", f"Payload-Oxum: {size}.{number}".encode(), info)
        today = self._context.clock().date().isoformat()
        info = re.sub(rb"(?m)^Bagging-Date: .*$", f"Bagging-Date: {today}".encode(), info)
        lines = self._manifest({path: file.sha512 for path, file in changed.items()}, set(removed))
        write = self._shelf.write
        tags = {
            "bag-info.txt": write("bag-info.txt", iter([info]), mime="text/plain", bag=True).sha512,
            "bagit.txt": self._reader.entry("bagit.txt").sha512,
            "manifest-sha512.txt": write(
                "manifest-sha512.txt", encoded(lines), mime="text/plain", bag=True
            ).sha512,
        }
        tag_lines = "".join(manifest_line(digest, name) for name, digest in tags.items())
        write("tagmanifest-sha512.txt", iter([tag_lines.encode()]), mime="text/plain", bag=True)

    def _manifest(self, changed: dict[str, str], removed: set[str]) -> Iterator[str]:
        """The lines of the payload manifest in the order of the paths: two sorted streams merged."""
        kept = (
            (entry.logical, entry.sha512)
            for entry in self._reader.inventory.below("data/")
            if entry.logical not in changed and entry.logical not in removed
        )
        for path, digest in heapq.merge(kept, sorted(changed.items())):
            yield manifest_line(digest, path)
