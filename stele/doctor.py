"""``stele doctor``: what is there, what is not, and what that switches off."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Literal

from rich.markup import escape
from rich.table import Table

from pipeline.agreement import AgreementError
from stele.probes import age_text, kept, summary
from stele.screen import OUT, size_text
from stele.settings import S3StoreSettings, Settings, SettingsError, find_home, load_settings
from stele.wiring import agreement_names, build_store, choose_agreement
from storage.catalogue import Catalogue
from storage.errors import StorageError
from storage.ocfl.layout import NAMASTE_ROOT

State = Literal["ok", "missing", "broken"]
_MARKS = {"ok": "[green]✔ ok[/]", "missing": "[yellow]– missing[/]", "broken": "[red]✘ broken[/]"}
_LIBRARIES = ("bagit", "boto3", "lxml", "metsrw", "opf-fido", "prefect", "pygfried", "rarfile")
_PROGRAMS = {
    "clamd": "virus scan",
    "java": "JHOVE and veraPDF: format validation",
    "exiftool": "embedded metadata",
    "soffice": "office documents to PDF/A",
    "ffmpeg": "audio and video to FLAC, FFV1",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    subject: str
    state: State
    detail: str
    lost: str = ""

    def as_json(self) -> dict[str, str]:
        """Stable keys."""
        return {
            "subject": self.subject,
            "state": self.state,
            "detail": self.detail,
            "lost": self.lost,
        }


def examine(home: Path | None) -> list[Finding]:
    """Look at everything; nothing is changed."""
    return [*_software(), *_workspace(find_home(home))]


def _software() -> Iterator[Finding]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("Python", "ok", python)
    for name in _LIBRARIES:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "broken", "not installed", "install Stele again")
    for name, use in _PROGRAMS.items():
        where = shutil.which(name)
        detail = where or "not on the PATH"
        yield Finding(name, "ok" if where else "missing", detail, "" if where else use)


def _workspace(home: Path) -> Iterator[Finding]:
    try:
        settings = load_settings(home)
    except SettingsError as error:
        yield Finding("workspace", "broken", str(error))
        return
    yield Finding("workspace", "ok", str(home))
    yield from _catalogue(settings)
    for store in settings.stores:
        yield _store(store.name, settings)
        if isinstance(store, S3StoreSettings):
            yield _probe(store, settings)
    free = shutil.disk_usage(home).free
    yield Finding("free space", "ok" if free > 1 << 30 else "missing", size_text(free))
    for name in agreement_names(settings):
        try:
            choose_agreement(settings, name)
            yield Finding(f"agreement {name}", "ok", "readable")
        except AgreementError as error:
            yield Finding(f"agreement {name}", "broken", str(error))


def _catalogue(settings: Settings) -> Iterator[Finding]:
    try:
        catalogue = Catalogue(settings.catalogue_url)
        catalogue.migrate()
        aips, files, size = catalogue.totals()
        if not aips and _stores_hold_objects(settings):
            lost = "the stores hold objects it does not know; run “stele store rebuild”"
            yield Finding("catalogue", "broken", lost, "everything but the stores")
            return
        catalogue.close()
        yield Finding("catalogue", "ok", f"{aips} AIPs, {files} files, {size_text(size)}")
    except StorageError as error:
        yield Finding("catalogue", "broken", str(error))


def _stores_hold_objects(settings: Settings) -> bool:
    """One look into each store, not a listing."""
    for store in settings.stores:
        with suppress(StorageError, ValueError):
            keys = build_store(store, settings).list("")
            if any("/" in key and not key.startswith("extensions/") for key in islice(keys, 10)):
                return True
    return False


def _store(name: str, settings: Settings) -> Finding:
    chosen = next(store for store in settings.stores if store.name == name)
    try:
        size = build_store(chosen, settings).size(NAMASTE_ROOT[0])
    except (StorageError, ValueError) as error:
        return Finding(f"store {name}", "broken", str(error), "ingest")
    detail = "OCFL 1.1 storage root" if size else "empty; the first ingest makes it"
    return Finding(f"store {name}", "ok", detail)


def _probe(store: S3StoreSettings, settings: Settings) -> Finding:
    """What is known of an S3 server, and since when."""
    subject, found = f"probe of {store.name}", kept(store, settings.home)
    if found is None:
        detail = "none is kept; the first write makes one, or “stele store probe”"
        return Finding(subject, "missing", detail, "every write is looked for and read back")
    age = age_text(found.probed_at, datetime.now(UTC))
    if found.dangers:
        return Finding(subject, "broken", f"{age}: {' '.join(found.dangers)}", "archiving there")
    return Finding(subject, "ok", f"{age}: {summary(found)}")


def print_findings(findings: list[Finding]) -> None:
    """The table for people."""
    table = Table("", "State", "Detail", "Without it")
    for finding in findings:
        cells = (escape(finding.detail), escape(finding.lost))
        table.add_row(escape(finding.subject), _MARKS[finding.state], *cells)
    OUT.print(table)
