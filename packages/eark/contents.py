"""METS against files: each file read once, hashed with every algorithm some METS names for it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date

from packages.containers.sources import Opener, SourceUnreadable
from packages.digest import DigestAlgorithm, MultiHasher
from packages.eark.dialect import report_dialect
from packages.eark.layout import Layout
from packages.eark.line_endings import conversion
from packages.eark.structure import check_folders
from packages.mets.csip_reader import ListedFile, MetsDocument, read_mets
from packages.mets.rules.engine import csip
from packages.mets.rules.rule import NAMESPACES, PackageContext
from packages.problems.catalogue import problem
from packages.problems.problem import Problem, Severity

__all__ = ["Content", "check_contents"]

_CHUNK = 1 << 20
_URL = ("http://", "https://", "ftp://")


@dataclass(frozen=True, slots=True)
class Content:
    """A file of the package, wherever its bytes are; ``sha512`` where it is known already."""

    size: int
    open: Opener
    sha512: str = ""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What one METS says about one file."""

    mets: str
    listed: ListedFile


def check_contents(
    files: Mapping[str, Content],
    layout: Layout,
    *,
    name: str,
    today: date,
    report: Callable[[Problem], None],
    progress: Callable[[int], None],
) -> None:
    """Report on the package's METS files, on what they say of its files, and on files none mentions.

    ``name`` is the package's own where it has no folder; ``progress`` is told the bytes of each file.
    """
    checker = _Checker(files, layout, today, report, progress)
    root = checker.read("METS.xml", "")
    if root is None:
        return
    if not root.dialect:
        checker.report_all(check_folders(layout, root.objid, layout.root.rstrip("/") or name))
        checker.report_all(_groups_without_folder(root, layout))
    for representation in layout.representations:
        checker.read(f"representations/{representation}/METS.xml", f"representations/{representation}/")
    checker.compare()


class _Checker:
    """Collects what the METS files claim, then looks at each file once."""

    def __init__(
        self,
        files: Mapping[str, Content],
        layout: Layout,
        today: date,
        report: Callable[[Problem], None],
        progress: Callable[[int], None],
    ) -> None:
        self._files = files
        self._layout = layout
        self._today = today
        self._report = report
        self._progress = progress
        self._claims: dict[str, list[_Claim]] = {}
        self._mentioned = {"METS.xml"}

    def report_all(self, problems: Iterable[Problem]) -> None:
        """Several at once."""
        for found in problems:
            self._report(found)

    def read(self, path: str, folder: str) -> MetsDocument | None:
        """The METS at ``path``, which speaks for ``folder`` of the package; None if it is absent."""
        content = self._files.get(path)
        if content is None:
            return None
        with closing(content.open()) as stream:
            document = read_mets(stream, path, package=self._package(folder))
            if document.dialect:
                self._report(report_dialect(document, stream, path))
        self.report_all(document.problems)
        for listed in document.files:
            self._resolve(listed, path, folder)
        for pointer in document.pointers:
            target = posixpath.normpath(folder + pointer)
            self._mentioned.add(target)
            if target not in self._files:
                self._report(problem("METS-FILE-MISSING", path, found=pointer))
        return document

    def _package(self, folder: str) -> PackageContext:
        fills = self._layout.fills
        return PackageContext(
            representation=bool(folder),
            folder=folder.rstrip("/").rpartition("/")[2],
            descriptive=fills(f"{folder}metadata/descriptive"),
            preservation=fills(f"{folder}metadata/preservation"),
            documentation=fills(f"{folder}documentation"),
            schemas=fills(f"{folder}schemas"),
            today=int(f"{self._today:%Y%m%d}"),
        )

    def _resolve(self, listed: ListedFile, mets: str, folder: str) -> None:
        """From the METS' own view to the place in the package. Nothing outside it is ever looked at."""
        path = listed.path
        if path.startswith("file:"):
            path = path.removeprefix("file:").lstrip("/")
        target = posixpath.normpath(folder + path)
        if path.startswith(("/", *_URL)) or target.startswith("../"):
            code = listed.codes.href if listed.codes else "CSIP79"
            self._report(csip(code, mets, f"“{listed.path}” is outside the package"))
        elif target not in self._files:
            self._report(problem("METS-FILE-MISSING", mets, found=listed.path))
        else:
            self._claims.setdefault(target, []).append(_Claim(mets, listed))

    def compare(self) -> None:
        """Every file against all that is claimed of it."""
        for path, content in self._files.items():
            claims = self._claims.get(path)
            if claims:
                self.report_all(_broken_claims(path, content, claims))
            elif path not in self._mentioned:
                found = "the file is in the package, but no METS lists it"
                self._report(csip("CSIP58", path, found, Severity.WARNING))
            self._progress(content.size)


def _broken_claims(path: str, content: Content, claims: list[_Claim]) -> Iterator[Problem]:
    digests = _digests(path, content, claims)
    for claim in claims:
        listed = claim.listed
        algorithm = DigestAlgorithm.parse(listed.checksum_type)
        wrong_size = bool(listed.size) and listed.size != str(content.size)
        if listed.checksum and algorithm and listed.checksum != digests[algorithm]:
            with _reading(path):
                converted = conversion(content.open, listed.size, listed.checksum, algorithm)
            if converted:
                yield problem("METS-LINE-ENDINGS", path, expected=claim.mets, found=converted[0])
                wrong_size = not converted[1]
            else:
                yield _wrong_checksum(path, claim, algorithm, digests[algorithm])
        if wrong_size:
            yield _wrong_size(path, claim, content.size)


def _wrong_checksum(path: str, claim: _Claim, algorithm: DigestAlgorithm, actual: str) -> Problem:
    listed = claim.listed
    if listed.codes is None:
        return problem("METS-DIGEST", path, expected=listed.checksum, found=actual)
    found = f"{claim.mets} says {algorithm.mets_name} {listed.checksum}, the file has {actual}"
    return csip(listed.codes.checksum, path, found)


def _wrong_size(path: str, claim: _Claim, actual: int) -> Problem:
    listed = claim.listed
    if listed.codes is None:
        return problem("METS-SIZE", path, expected=listed.size, found=str(actual))
    found = f"{claim.mets} says {listed.size} bytes, the file has {actual}"
    return csip(listed.codes.size, path, found)


def _digests(path: str, content: Content, claims: list[_Claim]) -> Mapping[DigestAlgorithm, str]:
    named = {DigestAlgorithm.parse(claim.listed.checksum_type) for claim in claims}
    known = {DigestAlgorithm.SHA512: content.sha512} if content.sha512 else {}
    wanted = {algorithm for algorithm in named if algorithm} - known.keys()
    if not wanted:
        return known
    hasher = MultiHasher(sorted(wanted))
    with _reading(path), closing(content.open()) as stream:
        while chunk := stream.read(_CHUNK):
            hasher.update(chunk)
    return {**known, **hasher.hexdigests()}


@contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceUnreadable(f"cannot read {path}: {error.strerror}") from error


def _groups_without_folder(document: MetsDocument, layout: Layout) -> Iterator[Problem]:
    """CSIP64: USE of a group is the path to its folder, ``Representations/…`` to ``representations/…``."""
    if document.root is None:
        return
    groups = document.root.iterfind("mets:fileSec/mets:fileGrp", NAMESPACES)
    for use in (group.get("USE", "") for group in groups):
        top, slash, rest = use.partition("/")
        folder = f"representations/{rest}".rstrip("/")
        if top == "Representations" and slash and folder.count("/") <= 2 and not layout.has(folder):
            yield csip("CSIP64", "METS.xml", f"a group is for {use}, but there is no such folder")
