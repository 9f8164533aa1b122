"""Copying: the right bytes and digests at every size, and each failure told apart."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from packages.digest import DigestAlgorithm
from storage.copying import TooLong, copy_hashed

_MIB = 1 << 20
_ALGORITHMS = (DigestAlgorithm.SHA512, DigestAlgorithm.MD5)


def _reader(content: bytes, step: int) -> Callable[[memoryview], int]:
    """Gives at most ``step`` bytes a call, as pipes and decompressors do."""
    position = 0

    def read_into(view: memoryview) -> int:
        nonlocal position
        chunk = content[position : position + min(step, len(view))]
        view[: len(chunk)] = chunk
        position += len(chunk)
        return len(chunk)

    return read_into


@pytest.mark.parametrize(
    "size", [0, 1, 4096, _MIB - 1, _MIB, _MIB + 1, 4 * _MIB, 4 * _MIB + 5, 9 * _MIB + 4096, 17 * _MIB + 1]
)
@pytest.mark.parametrize("step", [100_003, 1 << 30])
def test_bytes_and_digests(size: int, step: int, tmp_path: Path) -> None:
    """Whatever the size and however the bytes come, the copy is exact and its digests are right."""
    content = os.urandom(size)
    target = tmp_path / "copy"
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT)
    seen: list[int] = []
    copied = copy_hashed(_reader(content, step), descriptor, _ALGORITHMS, progress=seen.append)
    os.close(descriptor)
    assert target.read_bytes() == content
    assert (copied.size, copied.head) == (size, content[:16])
    assert copied.digests[DigestAlgorithm.SHA512] == hashlib.sha512(content).hexdigest()
    assert copied.digests[DigestAlgorithm.MD5] == hashlib.md5(content).hexdigest()
    assert sum(seen) == size


@pytest.mark.parametrize("size", [10, 20 * _MIB])
def test_full_disk_is_an_oserror(size: int) -> None:
    """A failing write ends the copy, also when it happens in the writing thread."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space left"):
        copy_hashed(_reader(bytes(size), 1 << 30), descriptor, _ALGORITHMS)
    os.close(descriptor)


def test_endless_stream_is_stopped(tmp_path: Path) -> None:
    """A stream that goes on beyond what was announced is not followed to the end of the disk."""

    def endless(view: memoryview) -> int:
        return len(view)

    descriptor = os.open(tmp_path / "copy", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(TooLong):
        copy_hashed(endless, descriptor, _ALGORITHMS, limit=3 * _MIB)
    os.close(descriptor)
    assert (tmp_path / "copy").stat().st_size < 32 * _MIB


def test_a_reading_error_is_passed_on(tmp_path: Path) -> None:
    """The reader's own exception reaches the caller unchanged."""

    def broken(view: memoryview) -> int:
        raise KeyError("reader")

    descriptor = os.open(tmp_path / "copy", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(KeyError, match="reader"):
        copy_hashed(broken, descriptor, _ALGORITHMS)
    os.close(descriptor)
