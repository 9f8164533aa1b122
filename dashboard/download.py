"""A folder as a zip, made while it is sent: memory does not grow with its size."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["DipMissing", "zipped"]

_PIECE = 1 << 20


class DipMissing(Exception):
    """There is no such folder."""


class _Outlet(io.RawIOBase):
    """Where zipfile writes to; what it wrote is taken away again and again."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: object) -> int:
        data = bytes(piece)  # type: ignore[call-overload]
        self._pieces.append(data)
        return len(data)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def zipped(folder: Path) -> Iterator[bytes]:
    """The folder's files below its own name. Raises DipMissing at once, OSError on the way."""
    if not folder.is_dir():
        raise DipMissing(folder.name)
    return _pieces(folder)


def _pieces(folder: Path) -> Iterator[bytes]:
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            info = zipfile.ZipInfo.from_file(
                path, str(path.relative_to(folder.parent)), strict_timestamps=False
            )
            with path.open("rb") as source, archive.open(info, "w") as target:
                while piece := source.read(_PIECE):
                    target.write(piece)
                    yield outlet.taken()
    yield outlet.taken()
