"""Is an AIP consistent? What no single validator covers: METS, PREMIS, manifest and files agree."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from packages.aip.layout import METS, PREMIS
from packages.digest import DigestAlgorithm
from packages.mets.csip_reader import ListedFile, MetsDocument, read_mets
from packages.mets.rules.engine import check_package_type
from packages.mets.rules.rule import PackageContext
from packages.paths import bag_decode
from packages.premis.reader import PremisDocument, read_premis
from packages.problems.catalogue import problem
from packages.problems.problem import Problem

_PREMIS = re.compile(rf"(representations/[^/]+/)?{re.escape(PREMIS)}")

__all__ = ["AipFile", "check_aip"]


@dataclass(frozen=True, slots=True)
class AipFile:
    """A file as it is in storage; ``sha512`` is that of its bytes, not what anyone claims."""

    size: int
    sha512: str


Opener = Callable[[str], AbstractContextManager[BinaryIO]]


def check_aip(files: Mapping[str, AipFile], open_file: Opener, objid: str) -> list[Problem]:
    """Every disagreement inside one AIP given by its logical files."""
    root = f"data/{objid}"
    problems = list(_manifest(files, open_file))
    if f"{root}/{METS}" not in files:
        problems.append(problem("METS-FILE-MISSING", root, found=METS))
        return problems
    checker = _Checker(files, open_file, root)
    checker.run(objid)
    return problems + checker.problems


def _manifest(files: Mapping[str, AipFile], open_file: Opener) -> Iterator[Problem]:
    for name, prefix in (("manifest-sha512.txt", "data/"), ("tagmanifest-sha512.txt", "")):
        if name not in files:
            yield problem("BAG-NO-MANIFEST", name, found=f"{name} is missing")
            continue
        listed: set[str] = set()
        with open_file(name) as stream:
            for line in stream:
                digest, _, encoded = line.decode("utf-8", "replace").rstrip("\n").partition("  ")
                path = bag_decode(encoded)
                listed.add(path)
                if path not in files:
                    yield problem("BAG-FILE-MISSING", path, expected=name)
                elif files[path].sha512 != digest:
                    found = files[path].sha512
                    yield problem("BAG-DIGEST", path, expected=digest, found=found)
        if prefix:
            for path in files:
                if path.startswith(prefix) and path not in listed:
                    yield problem("BAG-FILE-UNLISTED", path)


class _Checker:
    """Walks from the root METS to every file, and back from every file."""

    def __init__(self, files: Mapping[str, AipFile], open_file: Opener, root: str) -> None:
        self._files = files
        self._open = open_file
        self._root = root
        self._mentioned: set[str] = {f"{root}/{METS}"}
        self._ids: dict[str, str] = {}
        self.problems: list[Problem] = []

    def run(self, objid: str) -> None:
        mets = self._mets(f"{self._root}/{METS}")
        if mets.root is not None:
            self.problems += check_package_type(mets.root, METS, "AIP")
            if mets.objid != objid:
                self.problems.append(problem("METS-OBJID", METS, expected=objid, found=mets.objid))
        for file in mets.files:
            if file.path.startswith("representations/") and file.path.endswith(f"/{METS}"):
                path = f"{self._root}/{file.path}"
                if path in self._files:
                    self._representation(path, file.path.split("/")[1])
        self._sidecar()
        self._premis()
        for path in self._files:
            if path.startswith(f"{self._root}/") and path not in self._mentioned:
                self.problems.append(problem("METS-FILE-UNLISTED", path))

    def _representation(self, path: str, name: str) -> None:
        mets = self._mets(path)
        if mets.root is not None and mets.objid != name:
            self.problems.append(problem("METS-OBJID", path, expected=name, found=mets.objid))

    def _mets(self, path: str, *, csip_rules: bool = True) -> MetsDocument:
        with self._open(path) as stream:
            mets = read_mets(
                stream,
                self._short(path),
                csip_rules=csip_rules,
                package=PackageContext(representation="/representations/" in path),
            )
        self.problems += mets.problems
        for file in mets.files:
            where = posixpath.dirname(path) if csip_rules else self._root
            self._compare(file, posixpath.normpath(f"{where}/{file.path}"), path)
        return mets

    def _compare(self, listed: ListedFile, path: str, mets: str) -> None:
        actual = self._files.get(path)
        if actual is None:
            self.problems.append(problem("METS-FILE-MISSING", self._short(mets), found=listed.path))
            return
        self._mentioned.add(path)
        if listed.id.startswith("file-"):
            self._ids[listed.id.removeprefix("file-")] = path
        if DigestAlgorithm.parse(listed.checksum_type) is not DigestAlgorithm.SHA512:
            found = f"{listed.checksum_type or 'none'} instead of SHA-512"
            self.problems.append(problem("METS-DIGEST", self._short(path), found=found))
        elif listed.checksum != actual.sha512:
            self.problems.append(
                problem("METS-DIGEST", self._short(path), expected=listed.checksum, found=actual.sha512)
            )
        if listed.size and listed.size != str(actual.size):
            self.problems.append(
                problem("METS-SIZE", self._short(path), expected=listed.size, found=str(actual.size))
            )

    def _sidecar(self) -> None:
        prefix = f"{self._root}/metadata/preservation/METS."
        for path in self._files:
            if path.startswith(prefix):
                self._mets(path, csip_rules=False)

    def _premis(self) -> None:
        documents: list[tuple[str, PremisDocument]] = []
        for path in self._files:
            if _PREMIS.fullmatch(path.removeprefix(f"{self._root}/")):
                with self._open(path) as stream:
                    documents.append((path, read_premis(stream, self._short(path))))
        known = {i for _, document in documents for i in document.objects}
        agents = {i for _, document in documents for i in document.agents}
        digests = {i: d for _, document in documents for i, d in document.digests.items()}
        for path, document in documents:
            self.problems += document.problems
            for target in sorted(document.linked_agents - agents):
                found = f"agent {target}"
                self.problems.append(problem("PREMIS-LINK", self._short(path), found=found))
            for target in sorted(document.linked_objects - known):
                found = f"object {target}"
                self.problems.append(problem("PREMIS-LINK", self._short(path), found=found))
        for identifier, path in self._ids.items():
            if "/representations/" not in path or "/data/" not in path[len(self._root) :]:
                continue
            digest = digests.get(identifier)
            found = self._files[path].sha512
            if digest is None:
                self.problems.append(problem("PREMIS-OBJECT", self._short(path)))
            elif digest != found:
                self.problems.append(
                    problem("PREMIS-DIGEST", self._short(path), expected=digest, found=found)
                )

    def _short(self, path: str) -> str:
        return path.removeprefix(f"{self._root}/")
