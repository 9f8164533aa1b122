"""Format identification with Siegfried, in process and in batches, through pygfried.

pygfried deadlocks after ``fork``: nothing in this program forks without exec.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pygfried

from packages.package_file import UNKNOWN_FORMAT, FileFormat
from pipeline.errors import ToolFailed


class Identifier:
    """Siegfried with its built-in signatures. ``workers`` threads inside the Go library."""

    def __init__(self, workers: int = 2) -> None:
        self._workers = workers
        self.version = str(pygfried.version())
        self.signatures = "not used yet"

    def identify(self, names: Sequence[str]) -> list[FileFormat]:
        """The formats of files, in the order given. Names must be valid UTF-8.

        Raises ToolFailed when the answer does not fit the question.
        """
        if not names:
            return []
        try:
            answer: Any = pygfried.identify_many(names, workers=self._workers)
        except (RuntimeError, ValueError, pygfried.GoError) as error:
            raise ToolFailed(f"Siegfried failed on {len(names)} files: {error}") from error
        files = answer["files"]
        if len(files) != len(names):
            raise ToolFailed(f"Siegfried answered for {len(files)} of {len(names)} files")
        self.version = answer["siegfried"]
        self.signatures = "; ".join(i["details"] for i in answer["identifiers"])
        formats = []
        for name, file in zip(names, files, strict=True):
            if file["filename"] != name:
                raise ToolFailed(f"Siegfried answered for {file['filename']} instead of {name}")
            formats.append(_format(file))
        return formats


def _format(file: dict[str, Any]) -> FileFormat:
    matches = file["matches"]
    if not matches:
        return UNKNOWN_FORMAT
    best = matches[0]
    warning = best["warning"]
    if file["errors"]:
        warning = "; ".join(part for part in (warning, file["errors"]) if part)
    return _shared(best["id"], best["format"], best["version"], best["mime"], best["basis"], warning)


@lru_cache(maxsize=4096)
def _shared(puid: str, name: str, version: str, mime: str, basis: str, warning: str) -> FileFormat:
    if puid.upper() == "UNKNOWN":
        return FileFormat(None, "unknown", "", "", basis, warning or "no match")
    return FileFormat(puid, name or puid, version, mime.split(",")[0].strip(), basis, warning)
