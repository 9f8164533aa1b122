"""Who can read what only the owner of a workspace should, and what stands open."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from stele.settings import FILE_NAME, PASSWORD_FILE, Settings

__all__ = ["exposed", "open_doors"]

_PRIVATE = (FILE_NAME, PASSWORD_FILE, "catalogue.sqlite", "prefect", "logs")


def exposed(home: Path) -> Iterator[str]:
    """Files and folders with secrets that others on this machine can read, each with its mode."""
    for name in _PRIVATE:
        try:
            mode = (home / name).stat().st_mode
        except OSError:
            continue
        if mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
            yield f"{name} ({stat.S_IMODE(mode):o})"


def open_doors(settings: Settings) -> Iterator[str]:
    """Settings by which people get in who should not, or pass for others."""
    prefect, dashboard = settings.prefect, settings.dashboard
    if prefect.without_password:
        yield "Prefect has no password: whoever reaches its port runs commands as this user"
    if dashboard.names and not dashboard.proxies:
        yield "[dashboard] names is set and proxies is not: all people behind a proxy look like one address"
