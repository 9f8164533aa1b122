"""A small archive in the simulation: AIPs of a few files, and the operations on them as processes."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pipeline.holdings.stored_record as stored_record_module
import pipeline.ingest.run as ingest_module
import pipeline.ingest.store as store_module
import pipeline.preservation.removal as removal_module
import pipeline.preservation.repair as repair_module
import pipeline.preservation.update as update_module
import storage.ocfl.object_copy as object_copy_module
import storage.ocfl.reader as reader_module
import storage.ocfl.repository as repository_module
from packages.digest import sha512_hex
from packages.identifiers import IngestId, PackageId
from packages.paths import printable
from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.context import IngestContext, Software, Submission
from pipeline.holdings.journal import write_journal
from pipeline.holdings.quarantine import QuarantineFailed
from pipeline.preservation.audit import AuditBudget, audit, repair_all
from pipeline.preservation.rebuild import rebuild
from pipeline.preservation.reconcile import reconcile, sweep
from pipeline.preservation.removal import (
    approve_removal,
    lift_hold,
    place_hold,
    request_removal,
    resume_removals,
)
from pipeline.preservation.replicate import replicate
from pipeline.preservation.update import Change, update_aip
from simulation.catalogue import Disk, SimCatalogue
from simulation.stores import StoreView
from simulation.world import Process, World
from storage.ocfl.inventory import VersionInfo
from storage.ocfl.inventory_index import InventoryIndex, read_inventory
from storage.ocfl.repository import FileToStore, OcflRepository
from storage.replicas.store import ArchivalStore, Role

__all__ = ["OPERATIONS", "Setting", "aip_of", "simulated"]

_PREMIS = b'<premis:premis xmlns:premis="http://www.loc.gov/premis/v3" version="3.0"/>'
_AGREEMENT = Agreement.model_validate(
    {"name": "sim", "version": "1", "agency": {"name": "Agency"}, "archive": {"name": "Archive"}}
)


@dataclass
class Setting:
    """What all processes of one run share."""

    world: World
    disk: Disk
    roles: dict[str, Role]
    folder: Path
    acknowledged: list[tuple[str, str, str]]
    """(kind, AIP, detail) of what a process has told its user."""

    def archive(self, process: Process, *, disk: Disk | None = None) -> Archive:
        """The archive as a process opens it."""
        stores = tuple(
            ArchivalStore(
                OcflRepository(StoreView(self.world.stores[name], process), scratch=self.folder),  # type: ignore[arg-type]
                kind="files",
                role=role,
            )
            for name, role in self.roles.items()
        )
        return Archive(
            catalogue=SimCatalogue(disk or self.disk, self.world, process),
            stores=stores,
            work=self.folder,
            receipts=self.folder / "receipts",
            quarantine=self.folder / "damaged",
            software=Software("Stele", "sim"),
            tools=None,  # type: ignore[arg-type]
            clock=self.world.wall,
        )

    def tell(self, process: Process, kind: str, aip: str, detail: str = "") -> None:
        """A process has told its user something; a dead one tells nothing."""
        if not process.dead:
            self.world.note(f"told: {kind} {aip[-6:]} {detail}")
            self.acknowledged.append((kind, aip, detail))


def aip_of(number: int) -> PackageId:
    """The AIP that submission ``number`` becomes."""
    return _ingest_id(number).package_id()


def _ingest_id(number: int) -> IngestId:
    return IngestId.derive(agreement="sim", external_identifier=f"sip {number}", content_digest="")


# -- the operations ------------------------------------------------------------------------------


def _ingest(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        archive = setting.archive(process)
        result = ingest_module.ingest(Path(f"/sip-{number}"), _AGREEMENT, archive)
        if result.outcome == "failed":
            raise RuntimeError(result.reason)
        setting.tell(process, str(result.outcome), str(result.aip))
        return str(result.outcome)

    return run


def _wait_s(number: int) -> float:
    """Some people wait for a lease until it has run out, some do not wait at all."""
    return 400.0 if number >= 4 else 0.0


def _update(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        urn = aip_of(number % 2).urn
        done = update_aip(
            urn,
            Change(f"why {number}", "A", metadata=(Path(f"/{number}.xml"),)),
            setting.archive(process),
            wait_s=_wait_s(number),
        )
        setting.tell(process, "updated", urn, done.version)
        return done.version

    return run


def _budget(setting: Setting) -> AuditBudget:
    return AuditBudget(
        timedelta(days=90), 1 << 50, 1 << 50, 1e9, repair=True, quarantine=setting.folder, everything=True
    )


def _audit(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        results = list(audit(setting.archive(process), _budget(setting)))
        return ", ".join(f"{(one.skipped and 'skipped') or one.state}" for one in results)

    return run


def _replicate(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        return str([one.made for one in replicate(setting.archive(process))])

    return run


def _remove(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        urn = aip_of(number % 2).urn
        archive = setting.archive(process)
        if archive.catalogue.removals.get(urn) is None:
            request_removal(archive, urn, reason="list", person="A")
        approve_removal(archive, urn, person="B", wait_s=_wait_s(number))
        setting.tell(process, "removed", urn)
        return "removed"

    return run


def _hold(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        urn = aip_of(number % 2).urn
        place_hold(
            setting.archive(process), urn, reason="court", person=f"C{number}", wait_s=_wait_s(number)
        )
        setting.tell(process, "held", urn)
        return "held"

    return run


def _release(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        urn = aip_of(number % 2).urn
        archive = setting.archive(process)
        if archive.catalogue.holds.get(urn) is None:
            place_hold(archive, urn, reason="court", person=f"C{number}", wait_s=_wait_s(number))
            setting.tell(process, "held", urn)
        lift_hold(archive, urn, reason="over", person="C", wait_s=_wait_s(number))
        setting.tell(process, "released", urn)
        return "released"

    return run


def _sweep(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        return str([str(one.kind) for one in sweep(setting.archive(process), timedelta(), remove=True)])

    return run


def _reconcile(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        found = []
        for one in reconcile(setting.archive(process)):
            setting.world.on_difference(one.kind, one.store, one.subject)
            found.append(str(one.kind))
        return str(found)

    return run


def _rebuild(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        return str([one.problem for one in rebuild(setting.archive(process))])

    return run


def _care(setting: Setting, number: int) -> Callable[[Process], str]:
    """The part of a nightly run that looks after copies."""

    def run(process: Process) -> str:
        archive = setting.archive(process)
        said = [str(list(resume_removals(archive))), str([one.made for one in replicate(archive)])]
        said.append(str([str(one.state) for one in audit(archive, _budget(setting))]))
        write_journal(archive)
        return " ".join(said)

    return run


def _repair(setting: Setting, number: int) -> Callable[[Process], str]:
    def run(process: Process) -> str:
        return str([str(one.state) for one in repair_all(setting.archive(process), setting.folder)])

    return run


OPERATIONS: dict[str, Callable[[Setting, int], Callable[[Process], str]]] = {
    "ingest": _ingest, "update": _update, "audit": _audit, "replicate": _replicate, "remove": _remove,
    "hold": _hold, "release": _release, "sweep": _sweep, "reconcile": _reconcile, "rebuild": _rebuild,
    "nightly": _care, "repair": _repair,
}  # fmt: skip


# -- what is made smaller for the simulation: content, not order -----------------------------------


class _Planned:
    """What ``describe`` would have made of a submission: an AIP of eight files."""

    def __init__(self, number: int, folder: Path, salt: str) -> None:
        self.submission = _submission(number)
        self.package_id = self.submission.package_id
        self.worklist = SimpleNamespace(
            format_totals=list, extents=dict, package_files=lambda: iter(()), tag_files=list
        )
        self._folder = folder
        self._salt = salt

    def stored_files(self) -> Iterator[FileToStore]:
        return iter(sorted(self._files(), key=lambda file: (file.sha512, file.logical)))

    def _files(self) -> Iterator[FileToStore]:
        root = f"data/{self.package_id.objid}"
        info = (
            f"External-Description: T {self._salt}\nStele-Agreement: sim\nSource-Organization: Agency\n"
            "Stele-Content-SHA-512: 0\n"
        )
        files = {
            "bag-info.txt": info.encode(),
            f"{root}/documentation/agreement.json": _AGREEMENT.model_dump_json().encode(),
            f"{root}/metadata/preservation/premis.xml": _PREMIS,
            f"{root}/representations/rep1/metadata/preservation/premis.xml": _PREMIS,
            f"{root}/representations/rep1/data/a.txt": f"a of {self.package_id}".encode(),
            f"{root}/representations/rep1/data/b.txt": f"b of {self.package_id}".encode(),
        }
        for logical, content in files.items():
            yield _file(self._folder, logical, content)


def _file(folder: Path, logical: str, content: bytes) -> FileToStore:
    digest = sha512_hex(content)
    path = folder / f"f-{digest[:32]}"
    if not path.exists():
        path.write_bytes(content)
    return FileToStore(logical, len(content), digest, path)


def _submission(number: int) -> Submission:
    identifier = _ingest_id(number)
    return Submission(identifier, identifier.package_id(), f"sip {number}", "T", "", (), 2, 10)


class _LightUpdate:
    """Instead of METS and PREMIS: one metadata file that is new, one that is replaced."""

    def __init__(self, reader: Any, change: Change, context: IngestContext) -> None:
        self._reader, self._change, self._context = reader, change, context

    def files(self) -> tuple[list[FileToStore], list[str]]:
        root = f"data/{self._reader.package.objid}/metadata/descriptive"
        new = _file(
            self._context.work, f"{root}/{self._change.reason[4:]}.xml", self._change.reason.encode()
        )
        info = self._reader.content("bag-info.txt")
        assert info is not None
        info = info.replace(b"T ", b"T +")
        return [new, _file(self._context.work, "bag-info.txt", info)], []

    def changed(self, files: list[FileToStore]) -> list[FileToStore]:
        return files

    def new_content(self, files: list[FileToStore]) -> dict[str, int]:
        return {}

    def info(self) -> VersionInfo:
        created = self._context.clock().isoformat().replace("+00:00", "Z")
        return VersionInfo(created, self._change.reason, "Stele", "mailto:a@b.invalid")


class _SimQuarantine:
    """Keeps digests only; sometimes its disk is full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.used = False

    def keep(self, store: StoreView, key: str, name: str) -> None:
        world = store._world
        if world.quarantine_full and not world.quiet:
            raise QuarantineFailed("simulated: no space")
        store._call("quarantine")
        digest = store._store.digests.get(key)
        if digest is not None:
            self.used = True
            store._store.kept.add((key, digest))


class _Kept:
    """Inventories by their bytes: each is parsed once a run, then shared; closing one closes nothing."""

    def __init__(self) -> None:
        self.known: dict[bytes, InventoryIndex] = {}

    def read(self, stream: Any, key: str, **_: Any) -> Any:
        content = stream.read()
        index = self.known.get(content)
        if index is None:
            import io

            index = read_inventory(io.BytesIO(content), key, size=len(content), every_version=True)
            self.known[content] = index
        return _Shared(index)

    def close(self) -> None:
        for index in self.known.values():
            index.close()


class _Shared:
    def __init__(self, index: InventoryIndex) -> None:
        self._index = index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def __enter__(self) -> _Shared:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass


_WITH_SCRATCH = (
    object_copy_module, reader_module, repository_module, repair_module, stored_record_module,
)  # fmt: skip


@contextmanager
def simulated(setting: Setting) -> Iterator[None]:
    """The product with its content made small: receiving, describing and scratch folders are replaced;
    leases, stores, versions, catalogue, audit, repair, removal, journal and rebuild are as they are."""
    salts = itertools.count()
    free: list[Path] = []

    @contextmanager
    def scratch(_parent: Path | None) -> Iterator[Path]:
        folder = free.pop() if free else Path(tempfile.mkdtemp(dir=setting.folder))
        try:
            yield folder
        finally:
            for path in folder.iterdir():
                path.unlink()
            free.append(folder)

    @contextmanager
    def run_context(
        subject: Path, agreement: Agreement, archive: Archive, *_: Any, **__: Any
    ) -> Iterator[Any]:
        yield IngestContext(
            subject=subject, agreement=agreement, work=setting.folder, software=archive.software,
            identification=None, tools=None, clock=archive.clock, shown=printable(str(subject)),  # type: ignore[arg-type]
        )  # fmt: skip

    def judged(_run: Any, context: IngestContext, *_: Any) -> Any:
        number = int(context.subject.name.rpartition("-")[2])
        return SimpleNamespace(submission=_submission(number))

    def described(examined: Any, history: Any, context: IngestContext) -> Any:
        number = int(context.subject.name.rpartition("-")[2])
        return _Planned(number, setting.folder, str(next(salts))), context.report("describe")

    @contextmanager
    def unrecorded(progress: Any, *_: Any) -> Iterator[Any]:
        yield progress

    kept = _Kept()
    real_exists = Path.exists
    with (
        ExitStack() as stack,
        patch.object(reader_module, "read_inventory", kept.read),
        patch.object(ingest_module, "run_context", run_context),
        patch.object(ingest_module, "recorded", unrecorded),
        patch.object(ingest_module.IngestRun, "judge", judged),
        patch.object(
            ingest_module, "examine", lambda verified, context: (verified, context.report("examine"))
        ),
        patch.object(ingest_module, "describe", described),
        patch.object(ingest_module, "write_receipt", lambda result, *_: result),
        patch.object(Path, "exists", lambda self: str(self).startswith("/sip-") or real_exists(self)),
        patch.object(update_module, "run_context", run_context),
        patch.object(update_module, "_Update", _LightUpdate),
        patch.object(update_module, "_check", lambda change: None),
        patch.object(update_module, "_fingerprint", lambda change: change.reason),
        patch.object(repair_module, "Quarantine", _SimQuarantine),
        patch.object(store_module, "Quarantine", _SimQuarantine),
        patch.object(removal_module, "write_durably", lambda *files: None),
    ):
        for module in _WITH_SCRATCH:
            stack.enter_context(patch.object(module, "scratch_folder", scratch))
        try:
            yield
        finally:
            kept.close()
            shutil.rmtree(setting.folder, ignore_errors=True)
