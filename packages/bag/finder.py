"""Where the bag is in what was handed over (RFC 8493 §4: a packed bag has one folder at its top)."""

from __future__ import annotations

from collections.abc import Iterator

from packages import paths
from packages.digest import DigestAlgorithm

__all__ = ["BagFinder"]

_MAX_NAMED = 3
_LEFT_BESIDE_THE_BAG = (".DS_Store", "Thumbs.db", "desktop.ini")


class BagFinder:
    """Finds the bag among the files of a submission, shown to it one by one."""

    def __init__(self) -> None:
        self.leftovers: list[str] = []
        self.leftover_count = 0
        self.backslashes = ""
        self._at_top = False
        self._tops: set[str] = set()
        self._candidates: set[str] = set()
        self._manifests: list[str] = []

    def look(self, path: str) -> None:
        """A file of the submission, its path normalised."""
        top, slash, rest = path.partition("/")
        self._at_top |= path == "bagit.txt"
        if not self.backslashes and "\\" in path:
            self.backslashes = path
        if _is_leftover(path):
            self.leftover_count += 1
            self.leftovers += [path] if len(self.leftovers) < _MAX_NAMED else []
            return
        if len(self._tops) < 2:  # more than one is all there is to know
            self._tops.add(top if slash else "")
        if rest == "bagit.txt" and len(self._candidates) <= _MAX_NAMED:
            self._candidates.add(top)
        if path.count("/") <= 1 and _manifest_algorithm(path.rpartition("/")[2]):
            self._manifests.append(path)

    @property
    def folder(self) -> str | None:
        """``""`` with bagit.txt at the top, ``"name/"`` in the only top folder, None if nowhere."""
        if self._at_top:
            return ""
        if len(self._tops) == 1 and self._candidates == self._tops:
            return f"{next(iter(self._candidates))}/"
        return None

    @property
    def why_none(self) -> str:
        """Why no bag was found, where more can be said than that there is no bagit.txt."""
        if len(self._candidates) > 1:
            names = ", ".join(f"“{paths.printable(one)}”" for one in sorted(self._candidates)[:_MAX_NAMED])
            return f"it holds several bags ({names}); hand over each of them by itself"
        if len(self._candidates) == 1:
            bag = f"“{paths.printable(next(iter(self._candidates)))}”"
            return f"bagit.txt is in the folder {bag}, and other files or folders lie beside that folder"
        if self.backslashes:
            shown = paths.printable(self.backslashes)
            return (
                f"its names separate folders by backslashes (“{shown}”), where archives have “/” "
                "(APPNOTE 4.4.17.1); pack it with another program"
            )
        return ""

    @property
    def algorithms(self) -> Iterator[DigestAlgorithm]:
        """Those of the bag's manifests, so that one pass over the bytes computes all that is needed."""
        folder = self.folder or ""
        for path in self._manifests:
            algorithm = _manifest_algorithm(path.removeprefix(folder))
            if algorithm:
                yield algorithm


def _is_leftover(path: str) -> bool:
    """What macOS and Windows put beside a folder they pack: no part of what was meant to be packed."""
    return path.startswith("__MACOSX/") or (
        "/" not in path and (path.startswith("._") or path in _LEFT_BESIDE_THE_BAG)
    )


def _manifest_algorithm(name: str) -> DigestAlgorithm | None:
    kind, dash, algorithm = name.removesuffix(".txt").partition("-")
    if kind not in ("manifest", "tagmanifest") or not dash or not name.endswith(".txt"):
        return None
    return DigestAlgorithm.parse(algorithm)
