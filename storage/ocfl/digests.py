"""The digest algorithms OCFL names: the specification's table (§3.4) and that of extension 0009."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Protocol

CONTENT_ALGORITHMS = ("sha512", "sha256")
"""What may address content; the rest is for fixity blocks and layouts."""


class Hasher(Protocol):
    """As much of a hashlib object as we use."""

    def update(self, data: bytes, /) -> None:
        """Take in the next bytes."""

    def hexdigest(self) -> str:
        """The digest of what was taken in so far."""


class _SizeHasher:
    """Extension 0009 calls the number of bytes, in decimal, a digest."""

    def __init__(self) -> None:
        self._size = 0

    def update(self, data: bytes, /) -> None:
        self._size += len(data)

    def hexdigest(self) -> str:
        return str(self._size)


def _hashlib(name: str) -> Callable[[], Hasher]:
    return partial(hashlib.new, name, usedforsecurity=False)


def _blake2b(bits: int) -> Callable[[], Hasher]:
    return partial(hashlib.blake2b, digest_size=bits // 8)


_MAKERS: Mapping[str, Callable[[], Hasher]] = {
    "md5": _hashlib("md5"),
    "sha1": _hashlib("sha1"),
    "sha256": _hashlib("sha256"),
    "sha512": _hashlib("sha512"),
    "blake2b-512": _blake2b(512),
    "blake2b-384": _blake2b(384),
    "blake2b-256": _blake2b(256),
    "blake2b-160": _blake2b(160),
    "sha512/256": _hashlib("sha512_256"),
    "size": _SizeHasher,
}


def is_known(algorithm: str) -> bool:
    """Whether OCFL, or a registered extension, names the algorithm."""
    return algorithm in _MAKERS


def new_hasher(algorithm: str) -> Hasher | None:
    """A fresh hasher; None for an algorithm OCFL does not name or this machine cannot compute."""
    try:
        return _MAKERS[algorithm]()
    except (KeyError, ValueError):  # ValueError: an OpenSSL built without it
        return None


@cache
def hex_length(algorithm: str) -> int | None:
    """Number of hexadecimal characters of a digest; None where digests are not hexadecimal."""
    hasher = new_hasher(algorithm)
    if hasher is None or algorithm == "size":
        return None
    return len(hasher.hexdigest())
