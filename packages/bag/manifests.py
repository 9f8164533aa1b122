"""Manifests (RFC 8493 §2.1.3, §2.2.1): read as streams, resolved against the files that are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packages import paths
from packages.bag.declaration import Declaration
from packages.bag.tag_files import Report, TagFiles
from packages.digest import DigestAlgorithm
from packages.problems.catalogue import problem
from packages.worklist import Worklist

_STRONG = {
    DigestAlgorithm.SHA224, DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512,
    DigestAlgorithm.SHA3_256, DigestAlgorithm.SHA3_512, DigestAlgorithm.BLAKE2B,
}  # fmt: skip


_BARE_PERCENT = re.compile("%(?!25|0[DdAa])")


@dataclass(frozen=True, slots=True)
class Listing:
    """Which manifests the bag has: file name → algorithm (None for one we do not know)."""

    payload: dict[str, DigestAlgorithm | None]
    tags: dict[str, DigestAlgorithm | None]

    @property
    def checked(self) -> set[str]:
        """The manifests that could be checked."""
        both = {**self.payload, **self.tags}
        return {name for name, algorithm in both.items() if algorithm}


def load(
    tags: TagFiles, worklist: Worklist, declared: Declaration, report: Report, *, most: int
) -> Listing:
    """Read every manifest into the worklist and report what its lines do wrong.

    Of a manifest with more than ``most`` lines the rest is not read: no package has so many files.
    """
    listing = Listing(_named(tags, "manifest-"), _named(tags, "tagmanifest-"))
    known = {algorithm for algorithm in listing.payload.values() if algorithm}
    if not known:
        found = ", ".join(listing.payload) or "none found"
        report(problem("BAG-NO-MANIFEST", found=found))
    elif not known & _STRONG:
        weak = ", ".join(sorted(algorithm.mets_name for algorithm in known))
        report(problem("BAG-WEAK-ALGORITHM", found=weak))
    for name, algorithm in {**listing.payload, **listing.tags}.items():
        if algorithm is None:
            if known:
                report(problem("BAG-ALGORITHM", name))
            continue
        reader = _Reader(name, algorithm, worklist, declared, report, most)
        for path, old, new in worklist.list_entries(name, reader.entries(tags)):
            _report_repetition(name, path, old, new, declared, report)
        # A manifest written on a system that changes NFC to NFD (or back) means the same file, which
        # keeps the name it has.
        worklist.match_normalisation(name)
    return listing


def _named(tags: TagFiles, prefix: str) -> dict[str, DigestAlgorithm | None]:
    return {
        name: DigestAlgorithm.parse(name.removeprefix(prefix).removesuffix(".txt"))
        for name in tags.names()
        if name.startswith(prefix) and name.endswith(".txt") and "/" not in name
    }


class _Reader:
    """One manifest, line by line."""

    def __init__(
        self,
        name: str,
        algorithm: DigestAlgorithm,
        worklist: Worklist,
        declared: Declaration,
        report: Report,
        most: int,
    ) -> None:
        self._name = name
        self._most = most
        self._length = algorithm.hex_length
        self._worklist = worklist
        self._declared = declared
        self._report = report
        self._payload = name.startswith("manifest-")
        self._starred = False

    def entries(self, tags: TagFiles) -> Iterator[tuple[str, str]]:
        for number, line in enumerate(tags.lines(self._name, self._report)):
            if number >= self._most:
                self._report(problem("BAG-MANIFEST-LONG", self._name, expected=f"{self._most:,}"))
                return
            if not line.strip():
                continue
            digest, _, path = line.strip("\r").partition(" ")
            if "\t" in digest:
                digest, _, path = line.partition("\t")
            path = path.lstrip(" \t")
            if path.startswith("*"):  # md5sum's binary mark, allowed by the drafts
                if not self._starred:
                    self._report(problem("BAG-MANIFEST-STAR", self._name, found=path))
                self._starred = True
                path = path[1:]
            if len(digest) != self._length or not path or not _is_hex(digest):
                self._report(problem("BAG-MANIFEST-LINE", self._name, found=line[:160]))
                continue
            resolved = self._resolve(path)
            if resolved is not None:
                yield resolved, digest.lower()

    def _resolve(self, written: str) -> str | None:
        reason = paths.escape_reason(written)
        if reason:
            shown = paths.printable(written)
            self._report(problem("BAG-MANIFEST-PATH", self._name, expected=reason, found=shown))
            return None
        path = paths.normalise(written)
        if path != written:
            self._report(problem("BAG-MANIFEST-RELATIVE", self._name, expected=path, found=written))
        if "%" in path:
            path = self._decode(path)
        if self._payload and not path.startswith("data/") and self._is_strict_scope(path):
            self._report(problem("BAG-MANIFEST-SCOPE", self._name, found=path))
            return None
        return path

    def _is_strict_scope(self, path: str) -> bool:
        """Draft 0.96 let payload manifests list tag files too."""
        return self._declared.is_v1 or not self._worklist.has(path)

    def _decode(self, path: str) -> str:
        decoded = paths.bag_decode(path)
        if self._declared.is_v1 and _BARE_PERCENT.search(path):
            self._report(problem("BAG-MANIFEST-BARE-PERCENT", self._name, found=path))
        if decoded == path or (not self._declared.is_v1 and self._worklist.has(path)):
            return path
        if not self._worklist.has(decoded) and self._worklist.has(path):
            self._report(problem("BAG-MANIFEST-PERCENT", self._name, found=path))
            return path
        return decoded


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)


def _report_repetition(
    name: str, path: str, old: str, new: str, declared: Declaration, report: Report
) -> None:
    tolerated = old == new and not declared.is_v1
    code = "BAG-MANIFEST-REPEATED" if tolerated else "BAG-MANIFEST-DUPLICATE"
    report(problem(code, name, found=path))
