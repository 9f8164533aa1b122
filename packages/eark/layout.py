"""What kind of thing a submission is, by the names in it: a bag, an E-ARK package, or neither."""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from packages.bag.finder import BagFinder
from packages.containers.sources import (
    CorruptArchive,
    EncryptedArchive,
    Entry,
    EntryKind,
    ReadingLimits,
    SourceUnreadable,
    TooManyEntries,
    open_source,
)
from packages.paths import normalise

__all__ = ["Form", "Layout", "form_of", "look_at"]

_MAX_LEVELS = 5  # root/representations/name/metadata/descriptive: what the structure rules ask about
_PLACEHOLDER = ".gitkeep"  # keeps an empty folder in git, and is no content


class Form(StrEnum):
    """What a submission is judged as."""

    BAG = "bag"
    PACKAGE = "E-ARK package"
    NEITHER = "neither"


def form_of(layout: Layout) -> Form:
    """A bag stays a bag, whatever its payload is."""
    if layout.is_bag:
        return Form.BAG
    if layout.roots:
        return Form.PACKAGE
    return Form.NEITHER


class Layout:
    """The upper folders of a submission, whose entries are shown to it one by one.

    ``folders`` are all there are, ``filled`` those with a file somewhere below; neither ends in a
    slash. ``mets`` are the files of that name. Ask only when everything has been shown.
    """

    def __init__(self, *, archive: bool) -> None:
        self.archive = archive
        self.folders: set[str] = set()
        self.filled: set[str] = set()
        self.mets: set[str] = set()
        self.loose: list[str] = []
        self._bag = BagFinder()

    def look(self, entry: Entry) -> None:
        """An entry of the submission."""
        path = normalise(entry.path)
        if entry.kind is EntryKind.FOLDER:
            self._add_folders(f"{path}/", filled=False)
        elif entry.kind is EntryKind.FILE:
            self._bag.look(path)
            self._add_folders(path, filled=not path.endswith(_PLACEHOLDER))
            if "/" not in path and len(self.loose) < 10:
                self.loose.append(path)
            if path.rpartition("/")[2] == "METS.xml" and path.count("/") < _MAX_LEVELS:
                self.mets.add(path)

    def _add_folders(self, path: str, *, filled: bool) -> None:
        """All folders on the way to the last part of ``path``."""
        parts = path.split("/")[:-1][:_MAX_LEVELS]
        while parts:
            folder = "/".join(parts)
            if folder in (self.filled if filled else self.folders):
                return  # then those above it are there too
            self.folders.add(folder)
            if filled:
                self.filled.add(folder)
            parts.pop()

    @property
    def is_bag(self) -> bool:
        """Whether bagit.txt is at the top or in the only folder there."""
        return self._bag.folder is not None

    @cached_property
    def tops(self) -> list[str]:
        """The folders at the top."""
        return sorted(folder for folder in self.folders if "/" not in folder)

    @cached_property
    def roots(self) -> list[str]:
        """Where there are packages: ``""`` for the top itself, else ``"name/"``."""
        if self._looks_like_package(""):
            return [""]
        return [f"{top}/" for top in self.tops if self._looks_like_package(f"{top}/")]

    @property
    def root(self) -> str:
        """The package that is judged; the first, where there are several."""
        return self.roots[0]

    def _looks_like_package(self, root: str) -> bool:
        return f"{root}METS.xml" in self.mets or f"{root}representations" in self.folders

    def has(self, folder: str) -> bool:
        """Whether the package has this folder."""
        return self.root + folder in self.folders

    def fills(self, folder: str) -> bool:
        """Whether the package has files in this folder."""
        return self.root + folder in self.filled

    @cached_property
    def representations(self) -> list[str]:
        """The names of the package's representations."""
        prefix = f"{self.root}representations/"
        names = (folder[len(prefix) :] for folder in self.folders if folder.startswith(prefix))
        return sorted(name for name in names if "/" not in name)


def look_at(subject: Path, limits: ReadingLimits) -> Layout | None:
    """The layout of a submission; None where it cannot be read or is no folder, zip or tar at all."""
    try:
        source = open_source(subject, limits)
        if source is None:
            return None
        layout = Layout(archive=source.form != "folder")
        with closing(source):
            for entry in source.entries():
                layout.look(entry)
    except (CorruptArchive, EncryptedArchive, TooManyEntries, SourceUnreadable):
        return None  # receiving it will say why
    return layout
