"""Checksum lists among the files (``SHA256SUMS``, ``scan.tif.md5``): compared where we know the digests.

They are the agency's, older than the bag's manifests, and no manifest of it. So what they contradict is
told and rejects nothing.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from packages.bag.tag_files import Report
from packages.digest import DigestAlgorithm
from packages.problems.catalogue import problem
from packages.problems.problem import Problem
from packages.worklist import Worklist

__all__ = ["check"]

_NAME = re.compile(
    r"(?i)(?:.*[._-])?(?:md5|sha-?(?:1|224|256|384|512)|sha3-?(?:256|512)|checksums?|hash(?:es)?)"
    r"(?:sums?)?(?:\.txt|\.csv)?"
)
_NAMED_AFTER_FILE = re.compile(r"(?i)(.+)\.(?:md5|sha-?(?:1|224|256|384|512))")
_GNU = re.compile(r"\\?([0-9A-Fa-f]{32,128})[ \t]+\*?(.+)")
_BSD = re.compile(r"([A-Z0-9-]+) ?\((.+)\) ?= ?([0-9A-Fa-f]{32,128})")
_BARE = re.compile(r"[0-9A-Fa-f]{32,128}")
_MAX_BYTES = 64 << 20
_MAX_LINE_BYTES = 1 << 16
_MAX_NAMED = 5
_BY_LENGTH = {
    algorithm.hex_length: algorithm
    for algorithm in (
        DigestAlgorithm.MD5, DigestAlgorithm.SHA1, DigestAlgorithm.SHA224, DigestAlgorithm.SHA256,
        DigestAlgorithm.SHA384, DigestAlgorithm.SHA512,
    )
}  # fmt: skip


def check(worklist: Worklist, content: Path, report: Report) -> None:
    """Find the lists among the payload and say what became of each; ``content`` is where the files are."""
    places = [
        (path, work) for _, path, work, size, _ in worklist.work_files()
        if size <= _MAX_BYTES and _NAME.fullmatch(posixpath.basename(path))
    ]  # fmt: skip
    for path, work in places:
        for found in _judged(path, content / work, worklist):
            report(found)


def _judged(path: str, place: Path, worklist: Worklist) -> Iterator[Problem]:
    algorithm = _algorithm(path, place)
    if algorithm is None:
        return
    if algorithm not in worklist.algorithms:
        known = ", ".join(one.mets_name for one in worklist.algorithms)
        yield problem("LIST-NOT-COMPARED", path, expected=known, found=algorithm.mets_name)
        return
    for _repeated in worklist.list_entries(path, _targets(path, place, worklist)):
        pass  # the same file twice: the first line counts
    wrong = [name for name, _, _ in worklist.mismatches(path, algorithm)]
    missing = list(worklist.absent(path))
    number = worklist.listed_total(path)
    if wrong:
        yield problem("LIST-MISMATCH", path, expected=algorithm.mets_name, found=_some(wrong))
    if missing:
        yield problem("LIST-MISSING", path, found=_some(missing))
    if not wrong and not missing:
        yield problem("LIST-AGREES", path, expected=algorithm.mets_name, found=f"{number:,}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED:,} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more


def _algorithm(path: str, place: Path) -> DigestAlgorithm | None:
    """The one algorithm of a list; None for a file that is no list of checksums."""
    found: set[DigestAlgorithm | None] = set()
    try:
        for digest, said, _ in _lines(path, place):
            one = DigestAlgorithm.parse(said) if said else _BY_LENGTH.get(len(digest))
            found.add(one if one and one.hex_length == len(digest) else None)
    except ValueError:
        return None
    return found.pop() if len(found) == 1 else None


def _targets(path: str, place: Path, worklist: Worklist) -> Iterator[tuple[str, str]]:
    """(path in the bag, digest): a name is relative to the list, or to the package where that is meant."""
    folder = posixpath.dirname(path)
    for digest, _, name in _lines(path, place):
        plain = posixpath.normpath(name.replace("\\", "/")).lstrip("/")
        tried = [posixpath.normpath(f"{folder}/{plain}"), f"data/{plain}", plain]
        yield next((one for one in tried if worklist.has(one)), tried[0]), digest.lower()


def _lines(path: str, place: Path) -> Iterator[tuple[str, str, str]]:
    """(digest, algorithm where it is said, name) of each line. Raises ValueError at anything else."""
    own = _NAMED_AFTER_FILE.fullmatch(posixpath.basename(path))
    with place.open("rb") as stream:
        for raw in iter(lambda: stream.readline(_MAX_LINE_BYTES), b""):
            line = raw.decode("utf-8-sig").strip()
            if not line or line.startswith(("#", ";")):
                continue
            if found := _BSD.fullmatch(line):
                yield found[3], found[1], found[2]
            elif found := _GNU.fullmatch(line):
                yield found[1], "", found[2].strip()
            elif own and _BARE.fullmatch(line):
                yield line, "", own[1]
            else:
                raise ValueError(f"no line of a checksum list: {line[:40]!r}")
