"""The one place that turns settings into real components."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import assert_never

from pipeline.agreement import Agreement, AgreementError, find_agreement
from pipeline.archive import Archive
from pipeline.context import Result, Software
from pipeline.formats.builtin import Builtin
from pipeline.formats.exiftool import ExifTool, described_by
from pipeline.formats.ffmpeg import FfmpegDecode
from pipeline.formats.identification import Identifier
from pipeline.formats.jhove import Jhove, module_for
from pipeline.formats.local_signatures import SignatureError, load_signatures
from pipeline.formats.mediaconch import MediaConch
from pipeline.formats.policy import FormatPolicy, load_policy
from pipeline.formats.validation import Validation
from pipeline.formats.verapdf import VeraPdf, flavour_for
from pipeline.ingest.run import ingest
from pipeline.preservation.audit import AuditBudget
from pipeline.tools import Toolbox
from pipeline.viruses.clamd import Clamd
from stele import __version__
from stele.settings import FilesStoreSettings, S3StoreSettings, Settings, SettingsError, StoreSettings
from storage.catalogue import Catalogue
from storage.files.store import FileStore
from storage.ocfl.repository import OcflRepository
from storage.protocol import ObjectStore
from storage.replicas.store import ArchivalStore, Role

_MATROSKA = {"fmt/569", "fmt/2095"}
_DECODED = {*_MATROSKA, "fmt/279"}  # FLAC
SOFTWARE = Software("Stele", __version__)


def build_archive(settings: Settings, *, run: str = "") -> Archive:
    """Open the catalogue; stores are reached when they are needed. Raises StoreUnavailable.

    ``run`` is the orchestrator's run in which all is done, if there is one.
    """
    catalogue = Catalogue(settings.catalogue_url)
    catalogue.migrate()
    return Archive(
        catalogue=catalogue,
        stores=tuple(_archival_store(store, settings) for store in settings.stores),
        work=settings.place(settings.work),
        receipts=settings.place(settings.receipts),
        quarantine=settings.place(settings.quarantine),
        software=SOFTWARE,
        tools=build_tools(settings),
        archivematica_mets_limit=settings.archivematica_mets_max_files,
        run=run,
    )


def _archival_store(store: StoreSettings, settings: Settings) -> ArchivalStore:
    return ArchivalStore(
        OcflRepository(
            build_store(store, settings),
            lock_mode=store.object_lock if isinstance(store, S3StoreSettings) else None,
            scratch=settings.place(settings.work),
        ),
        kind=store.kind,
        place=store.place,
        role=Role(store.role),
        audited=store.audited,
    )


def ingest_function(settings: Settings) -> Callable[..., Result]:
    """How this workspace takes submissions in: (path, agreement, archive, progress) to a result."""
    if not settings.normalise_after_ingest:
        return ingest
    from pipeline.intake.ingest_and_normalise import ingest_and_normalise

    return ingest_and_normalise


def build_tools(settings: Settings) -> Toolbox:
    """Everything that looks at files; the processes are shared by all who ask. Raises PolicyError."""
    wanted = settings.validate_files
    validation = shared_validation(wanted.tools) if wanted.enabled else None
    virus = settings.virus
    scanner = None
    if virus.clamd:
        work = settings.place(settings.work)
        work.mkdir(parents=True, exist_ok=True)
        limits = {"file_limit": virus.file_limit, "stream_limit": virus.stream_limit}
        scanner = Clamd(virus.clamd, **limits, scratch=work)
    return Toolbox(build_identifier(settings), build_policy(settings), validation, scanner)


def build_policy(settings: Settings) -> FormatPolicy:
    """The workspace's own rules, then the shipped ones. Raises PolicyError."""
    return load_policy((settings.place(settings.format_policy), shipped_config() / "format-policy.toml"))


@cache
def shared_validation(tools: Path | None = None) -> Validation:
    """The built-in checks and what else is installed, one set for the life of this program."""
    folder = tools or Path(__file__).parent.parent / ".tools"
    validation = Validation(
        Builtin(),
        (
            (Jhove(folder / "jhove"), module_for),
            (VeraPdf(folder / "verapdf"), flavour_for),
            (ExifTool(), described_by),
            (MediaConch(), lambda known: known.puid if known.puid in _MATROSKA else None),
            (FfmpegDecode(), lambda known: known.puid if known.puid in _DECODED else None),
        ),
    )
    atexit.register(validation.close)
    return validation


def build_identifier(settings: Settings) -> Identifier:
    """The identifier as configured; the same one for the same configuration."""
    own = settings.place(settings.identify.signatures)
    try:
        found = load_signatures((own,))  # said here: the process that uses them could only die of it
    except SignatureError as error:
        raise SettingsError(str(error)) from error
    folders = (own,) if found else ()
    return shared_identifier(settings.workers, folders, second="fido" in settings.identify.tools)


@cache
def shared_identifier(workers: int = 2, own: tuple[Path, ...] = (), *, second: bool = False) -> Identifier:
    """Siegfried's processes, one set for the life of this program: a nightly run starts them once."""
    identifier = Identifier(workers, (*own, shipped_config() / "signatures"), second=second)
    atexit.register(identifier.close)
    return identifier


def build_store(store: StoreSettings, settings: Settings) -> ObjectStore:
    """The object store of one entry of ``stores``."""
    match store:
        case FilesStoreSettings():
            folder = settings.place(store.path)
            return FileStore(folder, store.name)
        case S3StoreSettings():
            from stele.s3_probe_cache import found_or_probed
            from stele.s3_settings import s3_settings
            from storage.s3.store import S3Store  # boto3 takes long to import

            return S3Store(s3_settings(store), store.name, lambda: found_or_probed(store, settings.home))
        case _:
            assert_never(store)


@cache
def shipped_config() -> Path:
    """The configuration that comes with the software: in a wheel or in a checkout."""
    installed = Path(str(files("stele"))) / "_config"
    return installed if installed.is_dir() else Path(str(files("stele"))).parent / "config"


def agreement_folders(settings: Settings) -> tuple[Path, ...]:
    """Where agreements are looked for: the workspace first, then what is shipped."""
    return settings.place(settings.agreements), shipped_config() / "agreements"


def agreement_names(settings: Settings) -> list[str]:
    """All agreements that can be named."""
    return sorted({p.stem for folder in agreement_folders(settings) for p in folder.glob("*.toml")})


def choose_agreement(settings: Settings, name: str | None) -> Agreement:
    """The agreement asked for, or the default.

    Raises AgreementError: there is none of this name, or what it asks for cannot be had here.
    """
    wanted = name or settings.default_agreement
    found = find_agreement(agreement_folders(settings), wanted)
    if found is None:
        known = ", ".join(agreement_names(settings)) or "none"
        raise AgreementError(f"there is no submission agreement “{wanted}”; there are: {known}")
    if found.required_copies > len(settings.stores):
        raise AgreementError(
            f"agreement “{wanted}” requires {found.required_copies} copies, but stele.toml names "
            f"{len(settings.stores)} store(s); add stores or change the agreement"
        )
    return found


def audit_budget(settings: Settings) -> AuditBudget:
    """The audit as the workspace configures it."""
    wanted = settings.audit
    return AuditBudget(
        ttl=timedelta(days=wanted.ttl_days),
        max_bytes=wanted.max_bytes,
        max_objects=wanted.max_objects,
        max_seconds=wanted.max_hours * 3600,
        repair=wanted.repair == "automatic",
        quarantine=settings.place(settings.quarantine),
    )
