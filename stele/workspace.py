"""Workspaces: made, found, opened."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.archive import Archive
from stele.logs import keep_log
from stele.settings import FILE_NAME, PASSWORD_FILE, Settings, find_home, load_settings
from stele.wiring import build_archive, shipped_config


def make_workspace(folder: Path) -> bool:
    """Create what is missing; False when the folder was a workspace already.

    Settings, password and catalogue can be read by their owner only.
    """
    if (folder / FILE_NAME).exists():
        _make_password(folder)
        return False
    folder.mkdir(parents=True, exist_ok=True)
    _write_private(folder / FILE_NAME, (shipped_config() / "default.toml").read_bytes())
    _make_password(folder)
    (folder / "agreements").mkdir(exist_ok=True)
    shutil.copyfile(
        shipped_config() / "agreements" / "default.toml", folder / "agreements" / "default.toml"
    )
    settings = load_settings(folder)
    for place in (settings.dropbox, settings.work, settings.receipts):
        settings.place(place).mkdir(exist_ok=True)
    archive = build_archive(settings)
    for store in archive.stores:
        store.repository.initialise()
    archive.catalogue.close()
    return True


def _make_password(folder: Path) -> None:
    """A password for Prefect, where there is none yet."""
    if not (folder / PASSWORD_FILE).exists():
        _write_private(folder / PASSWORD_FILE, f"stele:{secrets.token_urlsafe(24)}\n".encode())


def _write_private(place: Path, content: bytes) -> None:
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)


@contextmanager
def settings_for(home: Path | None, *, need_workspace: bool) -> Iterator[Settings]:
    """The workspace's settings; a throw-away workspace for commands that store nothing.

    Raises SettingsError.
    """
    folder = find_home(home)
    if need_workspace or home is not None or (folder / FILE_NAME).exists():
        settings = load_settings(folder)
        keep_log(settings.home)
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="stele-") as scratch:
        make_workspace(Path(scratch, "workspace"))
        yield load_settings(Path(scratch, "workspace"))


def settings_or_defaults(home: Path | None) -> Settings:
    """The workspace's settings, or the defaults where nobody named one. Raises SettingsError."""
    folder = find_home(home)
    if home is not None or (folder / FILE_NAME).exists():
        return load_settings(folder)
    return Settings(home=folder)


@contextmanager
def opened_with_settings(home: Path | None) -> Iterator[tuple[Archive, Settings]]:
    """The workspace's archive and settings; the archive is closed at the end."""
    settings = load_settings(find_home(home))
    keep_log(settings.home)
    archive = build_archive(settings)
    try:
        yield archive, settings
    finally:
        archive.catalogue.close()


@contextmanager
def opened(home: Path | None) -> Iterator[Archive]:
    """The workspace's archive, closed at the end."""
    with opened_with_settings(home) as (archive, _):
        yield archive


@contextmanager
def opened_for_verify(home: Path | None, subject: str | None) -> Iterator[Archive | None]:
    """As ``opened``; None when a path outside any workspace is to be judged."""
    if subject and Path(subject).exists():
        yield None
        return
    with opened(home) as archive:
        yield archive
