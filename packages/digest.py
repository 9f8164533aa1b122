"""Message digests: the algorithms we know, and one pass that computes several."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import StrEnum


class DigestAlgorithm(StrEnum):
    """The algorithms a manifest may use; the value is the name in BagIt file names."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA224 = "sha224"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"
    SHA3_256 = "sha3256"
    SHA3_512 = "sha3512"
    BLAKE2B = "blake2b512"

    @property
    def mets_name(self) -> str:
        """The spelling of METS ``@CHECKSUMTYPE`` (``SHA-512``)."""
        return _METS_NAMES[self]

    @property
    def hex_length(self) -> int:
        """Number of hexadecimal characters of one digest."""
        return self.new().digest_size * 2

    def new(self) -> hashlib._Hash:
        """A fresh hasher."""
        return hashlib.new(_HASHLIB_NAMES.get(self, self.value), usedforsecurity=False)

    @classmethod
    def parse(cls, text: str) -> DigestAlgorithm | None:
        """Read a manifest's or METS' spelling; None for an algorithm we do not know."""
        wanted = text.lower().replace("-", "").replace("_", "")
        return _BY_NAME.get(wanted)


_HASHLIB_NAMES = {
    DigestAlgorithm.SHA3_256: "sha3_256",
    DigestAlgorithm.SHA3_512: "sha3_512",
    DigestAlgorithm.BLAKE2B: "blake2b",
}
_METS_NAMES = {
    DigestAlgorithm.MD5: "MD5",
    DigestAlgorithm.SHA1: "SHA-1",
    DigestAlgorithm.SHA224: "SHA-224",
    DigestAlgorithm.SHA256: "SHA-256",
    DigestAlgorithm.SHA384: "SHA-384",
    DigestAlgorithm.SHA512: "SHA-512",
    DigestAlgorithm.SHA3_256: "SHA3-256",
    DigestAlgorithm.SHA3_512: "SHA3-512",
    DigestAlgorithm.BLAKE2B: "BLAKE2b-512",
}
_BY_NAME = {member.value: member for member in DigestAlgorithm}

PREFERRED = DigestAlgorithm.SHA512
"""The algorithm of everything we write; always computed beside what a SIP uses."""


class MultiHasher:
    """Several digests of one stream, each byte shown to each algorithm once."""

    __slots__ = ("_hashers", "size")

    def __init__(self, algorithms: Iterable[DigestAlgorithm]) -> None:
        self._hashers = {algorithm: algorithm.new() for algorithm in algorithms}
        self.size = 0

    def update(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take in the next bytes."""
        for hasher in self._hashers.values():
            hasher.update(chunk)
        self.size += len(chunk)

    def hexdigests(self) -> Mapping[DigestAlgorithm, str]:
        """The digests of what was taken in so far, lower-case hexadecimal."""
        return {algorithm: hasher.hexdigest() for algorithm, hasher in self._hashers.items()}


def sha512_hex(content: bytes) -> str:
    """SHA-512 of bytes already in memory, hexadecimal."""
    return hashlib.sha512(content).hexdigest()
