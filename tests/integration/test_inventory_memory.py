"""Inventories of any size are read and written in memory that does not grow with them."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from large_inventory import large_inventory

from storage.errors import InventoryUnreadable
from storage.ocfl.inventory import VersionInfo
from storage.ocfl.inventory_index import next_inventory_parts, read_inventory

_ROOT = Path(__file__).parents[2]
_INFO = VersionInfo("2026-03-01T10:00:00Z", "new", "J", "mailto:j@example.org")
_D = hashlib.sha512(b"a").hexdigest()


# Prints by how many bytes a call raised the peak of a process's memory. VmHWM, because ru_maxrss
# begins with the peak of the process that started it.
_MEASURED = """
import importlib.util, sys
from pathlib import Path
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
spec = importlib.util.spec_from_file_location("cases", {file!r})
cases = importlib.util.module_from_spec(spec)
sys.modules["cases"] = cases
spec.loader.exec_module(cases)
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) << 10
before = peak()
print(cases.{case}, peak() - before)
"""


def _measured(case: str) -> tuple[str, int]:
    program = _MEASURED.format(root=str(_ROOT), file=__file__, case=case)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    answer, _, grown = run.stdout.strip().rpartition(" ")
    return answer, int(grown)


class _Parts(io.RawIOBase):
    """A stream of what a generator yields."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def read(self, size: int = -1) -> bytes:
        collected = []
        length = 0
        while length < 60_000 and (part := next(self._parts, b"")):
            collected.append(part)
            length += len(part)
        return b"".join(collected)


def _outcome(parts: Iterator[bytes], **options: Any) -> str:
    """What reading a hostile inventory ends with (for the measured process)."""
    stream: Any = _Parts(parts)
    try:
        with read_inventory(stream, "k", **options) as index:
            return f"{index.count()} files"
    except InventoryUnreadable as error:
        return error.code


def _use_large(files: int, work: Path) -> str:
    """Read a large inventory, ask it everything and write its next version (for the measured process)."""
    stream: Any = _Parts(large_inventory(files))
    with read_inventory(stream, "k", scratch=work, every_version=True) as index:
        assert sum(1 for _ in index.state()) == sum(1 for _ in index.contents()) == files
        names = (entry.logical for entry in index.state())
        digest = "ab" * 64
        parts = next_inventory_parts(
            index, "v2", _INFO, [("new", digest)], names, [(digest, "v2/content/new")]
        )
        return f"{sum(map(len, parts))} bytes"


def _flood(form: bytes, where: bytes, count: int) -> Iterator[bytes]:
    """A valid inventory with ``count`` members in the place of %s."""
    start, end = where.split(b"%s")
    yield start
    for number in range(count):
        yield (b", " if number else b"") + form.replace(b"#", b"%d" % number)
    yield end


_GOOD = f'"id": "x", "digestAlgorithm": "sha512", "head": "v1", "manifest": {{"{_D}": ["a"]}}'.encode()
_GOOD_STATE = f'"state": {{"{_D}": ["a"]}}'.encode()


@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path) -> None:
    """300,000 files are read, asked and written again in memory that does not grow with them."""
    answer, grown = _measured(f"_use_large(300_000, cases.Path({str(tmp_path)!r}))")
    assert answer.endswith("bytes")
    assert int(answer.split()[0]) > 100_000_000
    assert grown < 120 << 20
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "where", "expected"),
    [
        (b'"#": #', b'{"unknown": {%s}, ' + _GOOD + b', "versions": {"v1": {' + _GOOD_STATE + b"}}}", "1 files"),
        (b'"k": "#"', b"{%s, " + _GOOD + b', "versions": {"v1": {' + _GOOD_STATE + b"}}}", "1 files"),
        (b'"x#": {}', b"{" + _GOOD + b', "versions": {"v1": {%s, ' + _GOOD_STATE + b"}}}", "1 files"),
        (b'"#": "v"', b"{" + _GOOD + b', "versions": {"v1": {"user": {%s}, ' + _GOOD_STATE + b"}}}", "E036"),
        (b'"v#": {"state": {}}', b"{" + _GOOD + b', "versions": {%s}}', "E036"),
        (b"[#]", b"{" + _GOOD + b', "versions": {"v1": {"state": {"' + _D.encode() + b'": [%s]}}}}', "E051"),
        (b'"#": null', b"{" + _GOOD + b', "versions": {"v1": {"state": {%s}}}}', "E036"),
    ],
)  # fmt: skip
def test_floods_of_members(form: bytes, where: bytes, expected: str) -> None:
    """A million members at a place where nobody expects them take no memory."""
    answer, grown = _measured(f"_outcome(cases._flood({form!r}, {where!r}, 1_000_000))")
    assert answer == expected
    assert grown < 120 << 20


@pytest.mark.slow
def test_strings_just_below_the_limit(tmp_path: Path) -> None:
    """Strings of megabytes are accepted where text belongs, and few of them are in memory at once."""
    name = f"_outcome(cases._giant_names(), scratch=cases.Path({str(tmp_path)!r}))"
    answer, grown = _measured(name)
    assert answer == "40 files"
    assert grown < 200 << 20


def _giant_names() -> Iterator[bytes]:
    yield b"{" + _GOOD + b', "versions": {"v1": {"state": {"' + _D.encode() + b'": ['
    for number in range(40):
        yield (b', "' if number else b'"') + b"%d" % number + b"x" * (3 << 20) + b'"'
    yield b"]}}}}"
