"""The commonest way a text file changes on its journey: git, or FTP in text mode, converts its lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial

from packages.containers.sources import Opener
from packages.digest import DigestAlgorithm, MultiHasher

__all__ = ["conversion"]

_CHUNK = 1 << 20
_CONVERSIONS = (
    ("CR LF became LF", b"\n", b"\r\n"),
    ("LF became CR LF", b"\r\n", b"\n"),
)


def conversion(
    opener: Opener, size: str, checksum: str, algorithm: DigestAlgorithm
) -> tuple[str, bool] | None:
    """Which conversion turns the file ``checksum`` belongs to into this one, and whether ``size`` fits.

    None where none does. Raises OSError.
    """
    for name, now, then in _CONVERSIONS:
        hasher = MultiHasher((algorithm,))
        with closing(opener()) as stream:
            for piece in _pieces(iter(partial(stream.read, _CHUNK), b"")):
                hasher.update(piece.replace(now, then))
        if hasher.hexdigests()[algorithm] == checksum:
            return name, not size or size == str(hasher.size)
    return None


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, with no CR LF torn in two."""
    held = b""
    for chunk in chunks:
        piece = held + chunk
        held = b"\r" if piece.endswith(b"\r") else b""
        yield piece.removesuffix(b"\r") if held else piece
    yield held
