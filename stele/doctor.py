"""``stele doctor``: what is there, what is not, and what that switches off."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Literal

from packages.sizes import size_text
from pipeline.agreement import AgreementError
from pipeline.confinement import confinement
from pipeline.formats.known_faults import known_fault
from pipeline.formats.normalise import CONVERTERS
from pipeline.formats.policy import PolicyError
from pipeline.formats.tool import ToolState
from pipeline.intake import NightlyState, nightly_state
from pipeline.viruses.clamd import Clamd
from stele.nightly_report import unreadable_addresses
from stele.permissions import exposed, open_doors
from stele.s3_probe_cache import age_text, kept, summary
from stele.settings import S3StoreSettings, Settings, SettingsError, find_home, load_settings
from stele.wiring import agreement_names, build_store, build_tools, choose_agreement
from storage.catalogue import Catalogue
from storage.errors import StorageError
from storage.ocfl.layout import NAMASTE_ROOT

State = Literal["ok", "missing", "broken"]
_LIBRARIES = (
    "bagit", "boto3", "jpylyzer", "lxml", "metsrw", "opf-fido", "pikepdf", "pillow", "prefect", "pygfried",
    "pymediainfo", "rarfile",
)  # fmt: skip
_LOST = {
    "JHOVE": "PDF, TIFF, JPEG, GIF, PNG, WAVE, AIFF and EPUB are only decoded, not validated",
    "veraPDF": "claims of PDF/A stay unproved",
    "ExifTool": "what files say of their own making is not read",
    "MediaConch": "Matroska and FFV1 are not held against their specifications",
    "ffmpeg": "no decode test of FFV1 and FLAC, no copies of sound and video",
    "LibreOffice": "no PDF/A of office documents",
    "libvips": "no copies of images",
    "Ghostscript": "no PDF/A of PDF",
    "ClamAV": "packages are not scanned, which each receipt says",
}


_FIXED_PYTHON = {(3, 11): 14, (3, 12): 12, (3, 13): 6}
"""The first release of a version in which archives of those kinds neither hang nor overlap."""


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
    fixed = _FIXED_PYTHON.get(sys.version_info[:2])
    old = fixed is not None and sys.version_info[2] < fixed
    said = "known faults in tarfile and zipfile (CVE-2025-8194, CVE-2024-0450), which are guarded here; "
    said += f"{sys.version_info[0]}.{sys.version_info[1]}.{fixed} has none of them"
    yield Finding("Python", "ok", python, said if old else "")
    for name in _LIBRARIES:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "broken", "not installed", "install Stele again")


def _workspace(home: Path) -> Iterator[Finding]:
    try:
        settings = load_settings(home)
    except SettingsError as error:
        yield Finding("workspace", "broken", str(error))
        return
    yield Finding("workspace", "ok", str(home))
    yield from _doors(settings)
    yield from _tools(settings)
    yield from _catalogue(settings)
    for store in settings.stores:
        yield _store(store.name, settings)
        if isinstance(store, S3StoreSettings):
            yield _probe(store, settings)
    for number in unreadable_addresses(settings):
        yield Finding(
            "report", "broken", f"address {number} of [nightly] notify is none that Apprise knows"
        )
    free = shutil.disk_usage(home).free
    yield Finding("free space", "ok" if free > 1 << 30 else "missing", size_text(free))
    for name in agreement_names(settings):
        try:
            choose_agreement(settings, name)
            yield Finding(f"agreement {name}", "ok", "readable")
        except AgreementError as error:
            yield Finding(f"agreement {name}", "broken", str(error))


def _doors(settings: Settings) -> Iterator[Finding]:
    """Who can read the workspace's secrets, and who can get in."""
    readable = ", ".join(exposed(settings.home))
    if readable:
        lost = f"chmod -R go= in {settings.home}"
        yield Finding("permissions", "broken", f"others on this machine can read {readable}", lost)
    else:
        yield Finding("permissions", "ok", "settings, password and catalogue are their owner's only")
    for said in open_doors(settings):
        yield Finding("doors", "broken", said)


def _tools(settings: Settings) -> Iterator[Finding]:
    """What looks at files and converts them, as this workspace configures it."""
    try:
        tools = build_tools(settings)
    except (SettingsError, PolicyError) as error:
        yield Finding("format tools", "broken", str(error), "every ingest")
        return
    yield _confinement()
    states = {state.name: state for state in (tools.validation.states if tools.validation else ())}
    states.update((state.name, state) for state in (one.state() for one in CONVERTERS.values()))
    for name, state in states.items():
        fault = known_fault(state)
        lost = fault if state.usable else _LOST.get(name, "")
        yield Finding(name, *_state(state), lost)
    if tools.validation is None:
        yield Finding("format validation", "missing", "switched off in stele.toml", "no file is checked")
    yield _scanner(tools.scanner)
    named = {name for rule in tools.policy.rules for name in (rule.preserve, rule.access) if name}
    unknown = sorted(named - CONVERTERS.keys())
    said = f"{len(tools.policy.rules)} rules"
    if unknown:
        said += f"; there is no converter {', '.join(unknown)}"
    yield Finding("format policy", "broken" if unknown else "ok", said)


def _confinement() -> Finding:
    """What foreign tools cannot reach on this machine."""
    state = confinement()
    files = {"landlock": "their input only", "bubblewrap": "their input only"}.get(
        state.files, "every file"
    )
    network = {"own": "no network", "landlock": "no TCP connections"}.get(state.network, "the network")
    detail = f"tools reach {files} and {network} ({state.detail})"
    if state.complete:
        return Finding("confinement", "ok", detail)
    lost = "what a file refers to can be opened by a tool; Linux 5.13 or newer, or bubblewrap, closes that"
    return Finding("confinement", "missing", detail, lost)


def _state(state: ToolState) -> tuple[State, str]:
    if state.usable:
        return "ok", state.version
    return ("missing" if not state.version else "broken"), state.problem


def _scanner(scanner: Clamd | None) -> Finding:
    if scanner is None:
        return Finding("ClamAV", "missing", "no clamd is configured ([virus] clamd)", _LOST["ClamAV"])
    state = scanner.state()
    if not state.usable:
        return Finding("ClamAV", "broken", state.problem, _LOST["ClamAV"])
    made = state.signature_date
    said = f"{state.version}, signatures " + (f"of {made:%Y-%m-%d}" if made else "without a date")
    weak = [] if state.detects else ["it does not find the test file"]
    weak += [] if state.tells_limits else ["AlertExceedsMax is off: large files pass as clean"]
    weak += [] if state.tells_encrypted else ["AlertEncrypted is off: encrypted archives pass as clean"]
    weak += ["too old"] if made and datetime.now(UTC) - made > timedelta(days=7) else []
    lost = "“clean” means less than it says" if weak else ""
    return Finding("ClamAV", "broken" if weak else "ok", "; ".join([said, *weak]), lost)


def _catalogue(settings: Settings) -> Iterator[Finding]:
    try:
        catalogue = Catalogue(settings.catalogue_url)
        catalogue.migrate()
        aips, files, size = catalogue.aips.totals()
        if not aips and _stores_hold_objects(settings):
            lost = "the stores hold objects it does not know; run “stele store rebuild”"
            yield Finding("catalogue", "broken", lost, "everything but the stores")
            return
        night = _night(catalogue, settings)
        catalogue.close()
        yield night
        yield Finding("catalogue", "ok", f"{aips} AIPs, {files} files, {size_text(size)}")
    except StorageError as error:
        yield Finding("catalogue", "broken", str(error))


def _night(catalogue: Catalogue, settings: Settings) -> Finding:
    """Whether the last nightly run happened, and came to its end."""
    last = next(iter(catalogue.nightly_runs.latest(1)), None)
    every = settings.nightly.every_hours
    state = nightly_state(catalogue, last, datetime.now(UTC), every_hours=every)
    if last is None:
        return Finding("last nightly run", "missing", "no night has run yet (stele nightly)")
    match state:
        case NightlyState.RUNNING:
            return Finding("last nightly run", "ok", f"runs since {last.started}")
        case NightlyState.DIED:
            return Finding(
                "last nightly run", "broken", f"the one of {last.started} died; the next goes on"
            )
        case NightlyState.LATE:
            return Finding("last nightly run", "broken", f"none since {last.started}", "deliveries wait")
        case _:
            return Finding("last nightly run", "ok", f"{last.started} to {last.finished}")


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
