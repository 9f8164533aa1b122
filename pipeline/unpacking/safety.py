"""Which entries of a submission may be unpacked. All findings at once, memory flat."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from packages import paths
from packages.containers.sources import Entry, EntryKind
from packages.problems.catalogue import problem
from packages.problems.problem import Problem
from pipeline.agreement import Limits

__all__ = ["Screening"]

_MAX_HARMLESS_BYTES = 256 << 20  # of whatever ratio: empty disk images and logs compress like bombs
_BATCH = 2000
# Systems take 4,096 bytes of path; the AIP's own folders, and those of an export, come before it.
_MAX_PATH_BYTES = 3000
_MAX_LEVELS = 100
_PORTABLE_PATH_CHARACTERS = 150  # characters of a path that is too long nowhere
_SEGMENT = r"(?!(?:con|prn|aux|nul|com\d|lpt\d)(?:[./]|$))[a-z0-9_-](?:[a-z0-9._-]{0,98}[a-z0-9_-])?"
_HARMLESS = re.compile(rf"(?i){_SEGMENT}(?:/{_SEGMENT})*")
_SCHEMA = """
CREATE TABLE entry (path TEXT NOT NULL, folded INTEGER NOT NULL, folder INTEGER NOT NULL);
CREATE TABLE parent (path TEXT PRIMARY KEY, folded INTEGER NOT NULL) WITHOUT ROWID;
"""


class Screening:
    """Looks at entries one by one, then at all of them together, in a scratch database."""

    def __init__(self, work: Path, limits: Limits, packed_size: int | None) -> None:
        self._limits = limits
        self._packed_size = packed_size
        self._file = work / "screening.sqlite"
        self._db = sqlite3.connect(self._file, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-32768"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        self._held: list[tuple[str, int, int]] = []
        self._last_parent = ""
        self._backslashes = 0
        self.entries = 0
        self.files = 0
        self.bytes = 0
        self.examples: list[str] = []

    def look(self, entry: Entry) -> Iterator[Problem]:
        """Everything to be said about this entry alone."""
        self.entries += 1
        if entry.backslashes:
            self._backslashes += 1
        is_file = entry.kind is EntryKind.FILE
        if is_file:
            self.files += 1
            self.bytes += entry.size
            if len(self.examples) < 3:
                self.examples.append(paths.printable(entry.path))
        # Most names are harmless and most entries plain files; only the others cost time.
        path = entry.path
        if not (is_file and len(path) < _PORTABLE_PATH_CHARACTERS and _HARMLESS.fullmatch(path)):
            path = paths.normalise(entry.path)
            yield from self._name(entry, path)
        elif entry.encrypted:
            yield from _kind(entry, path)
        if is_file:
            yield from self._ratio(entry)
        if path and len(path) <= _MAX_PATH_BYTES and path.count("/") < _MAX_LEVELS:
            self._remember(path, 0 if entry.kind is not EntryKind.FOLDER else 1)

    def _name(self, entry: Entry, path: str) -> Iterator[Problem]:
        shown = paths.printable(entry.path[:500])
        size, depth = len(entry.path.encode("utf-8", "surrogateescape")), path.count("/") + 1
        if size > _MAX_PATH_BYTES or depth > _MAX_LEVELS:
            limit = f"{_MAX_PATH_BYTES} bytes and {_MAX_LEVELS} levels"
            yield problem("PATH-TOO-LONG", shown, expected=limit, found=f"{size} bytes, {depth} levels")
            return
        reason = paths.escape_reason(entry.path)
        if reason:
            yield problem("PATH-ESCAPE", shown, found=reason)
        elif not path:
            if entry.kind is not EntryKind.FOLDER:
                yield problem("PATH-ESCAPE", shown, found="the name stands for the folder itself")
            return
        yield from _kind(entry, shown)
        if entry.guessed:
            yield problem("PATH-ENCODING-GUESSED", shown, expected=entry.guessed, found=entry.raw)
        unportable = paths.unportable_reason(path) or paths.too_long_for_windows(path)
        if unportable and not reason and entry.kind is not EntryKind.FOLDER:
            yield problem("PATH-UNPORTABLE", shown, found=unportable)

    def _ratio(self, entry: Entry) -> Iterator[Problem]:
        ratio, limit = entry.expansion, self._limits.max_ratio
        if ratio > limit and entry.size >= _MAX_HARMLESS_BYTES:
            shown = paths.printable(entry.path)
            found = f"{shown} expands {ratio:.0f} to 1"
            yield problem("ARC-BOMB", shown, expected=f"{limit:g} to 1", found=found)

    def _remember(self, path: str, folder: int) -> None:
        self._held.append((_storable(path), _folded(path), folder))
        parent = path.rpartition("/")[0]
        if parent != self._last_parent:
            self._last_parent = parent
            self._add_parents(parent)
        if len(self._held) >= _BATCH:
            self._flush()

    def _add_parents(self, parent: str) -> None:
        while parent:
            added = self._db.execute(
                "INSERT OR IGNORE INTO parent VALUES (?, ?)", (_storable(parent), _folded(parent))
            )
            if added.rowcount == 0:
                return  # then its own parents are there too
            parent = parent.rpartition("/")[0]

    def _flush(self) -> None:
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO entry VALUES (?, ?, ?)", self._held)
        self._db.execute("COMMIT")
        self._held.clear()

    def close(self) -> Iterator[Problem]:
        """Everything to be said about all entries together; the scratch database is given up."""
        self._flush()
        yield from self._totals()
        if self._backslashes:
            yield problem("ARC-BACKSLASH", found=f"{self._backslashes} names")
        self._db.execute("CREATE INDEX by_folded ON entry (folded)")
        yield from self._alike()
        yield from self._under_a_file()
        self._db.close()
        self._file.unlink()

    @property
    def is_hopeless(self) -> bool:
        """Whether what was seen so far is too much already. An archive of a few kilobytes can go on for
        hours."""
        limits, packed = self._limits, self._packed_size
        return (
            self.files > limits.max_files
            or self.bytes > limits.max_bytes
            or (packed is not None and self._expands_too_far(packed))
        )

    def _expands_too_far(self, packed: int) -> bool:
        return self.bytes >= _MAX_HARMLESS_BYTES and self.bytes > self._limits.max_ratio * packed

    def _totals(self) -> Iterator[Problem]:
        limits, packed = self._limits, self._packed_size
        if self.files > limits.max_files:
            found = f"{self.files} files"
            yield problem("ARC-BOMB", expected=f"{limits.max_files} files", found=found)
        if self.bytes > limits.max_bytes:
            found = f"{self.bytes} bytes"
            yield problem("ARC-BOMB", expected=f"{limits.max_bytes} bytes", found=found)
        if packed is not None and self._expands_too_far(packed):
            found = f"the whole archive expands {self.bytes / max(packed, 1):.0f} to 1"
            yield problem("ARC-BOMB", expected=f"{limits.max_ratio:g} to 1", found=found)

    def _alike(self) -> Iterator[Problem]:
        """The same name twice, as file and folder, or names some systems cannot keep apart."""
        query = """SELECT e.folded, e.path, count(*), sum(e.folder) FROM entry e JOIN
                     (SELECT folded FROM entry GROUP BY folded HAVING count(*) > 1) twice
                     ON twice.folded = e.folded GROUP BY e.folded, e.path ORDER BY 1, 2"""
        previous, first = None, ""
        for folded, path, number, folders in self._db.execute(query):
            shown = paths.printable(_loaded(path))
            if number > folders > 0:
                yield problem("PATH-FILE-AND-FOLDER", shown)
            elif number > 1 and not folders:
                yield problem("PATH-DUPLICATE", shown)
            if number == folders:
                continue
            if folded == previous and _same_letters(path, first):
                yield problem("PATH-COLLISION", shown, found=paths.printable(_loaded(first)))
            previous, first = folded, path

    def _under_a_file(self) -> Iterator[Problem]:
        """A file whose parent is a file: ``a`` and ``a/b`` cannot both be unpacked."""
        query = """SELECT DISTINCT e.path FROM parent p JOIN entry e ON e.folded = p.folded
                   WHERE e.folder = 0 AND e.path = p.path"""
        for (path,) in self._db.execute(query):
            yield problem("PATH-FILE-AND-FOLDER", paths.printable(_loaded(path)))


def _folded(path: str) -> int:
    return hash(path.lower() if path.isascii() else paths.collision_key(path))


def _same_letters(one: str, other: str) -> bool:
    """Equal hashes are not equal names."""
    return paths.collision_key(_loaded(one)) == paths.collision_key(_loaded(other))


def _storable(path: str) -> str:
    """SQLite takes no lone surrogates; ``_loaded`` brings them back."""
    return path if path.isascii() else path.encode("utf-8", "surrogatepass").decode("latin-1")


def _loaded(stored: str) -> str:
    return stored if stored.isascii() else stored.encode("latin-1").decode("utf-8", "surrogatepass")


def _kind(entry: Entry, shown: str) -> Iterator[Problem]:
    if entry.kind is EntryKind.LINK:
        yield problem("PATH-LINK", shown, found=paths.printable(entry.target) or "a symbolic link")
    elif entry.kind is EntryKind.DEVICE:
        yield problem("PATH-DEVICE", shown, found="a device, pipe or socket")
    elif entry.encrypted:
        yield problem("ARC-ENCRYPTED", shown, found=f"entry {shown}")
