"""The files of one package on their way through the stages, in a scratch SQLite file.

Memory stays flat however many files there are, and questions about all of them (which are listed
and absent, which differ, which collide) are one query.
"""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from packages.digest import DigestAlgorithm
from packages.package_file import UNKNOWN_FORMAT, FileFormat, FileValidation, PackageFile, pages_and_seconds

_SCHEMA = """
CREATE TABLE file (
  id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, original TEXT NOT NULL,
  size INTEGER NOT NULL, modified INTEGER NOT NULL, work TEXT NOT NULL, sha512 TEXT NOT NULL,
  payload INTEGER NOT NULL, container INTEGER NOT NULL, name TEXT, uuid TEXT, source TEXT,
  format INTEGER NOT NULL DEFAULT 0 {extra}
);
CREATE TABLE listed (
  manifest TEXT NOT NULL, path TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (manifest, path)
) WITHOUT ROWID;
CREATE TABLE format (
  id INTEGER PRIMARY KEY, puid TEXT, name TEXT NOT NULL, version TEXT NOT NULL,
  mime TEXT NOT NULL, basis TEXT NOT NULL, warning TEXT NOT NULL
);
CREATE TABLE validation (
  file INTEGER PRIMARY KEY, validity TEXT NOT NULL, tool TEXT NOT NULL, messages TEXT NOT NULL,
  facts TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file in our custody. ``path`` is its place in the bag, ``work`` where its bytes are now.

    ``modified`` is seconds since 1970; ``digests`` has every algorithm that was asked for.
    """

    path: str
    original: str
    size: int
    modified: int
    work: str
    digests: Mapping[DigestAlgorithm, str]
    payload: bool
    container: bool


class WorkFile(NamedTuple):
    """A payload file as the stages look at it."""

    row: int
    path: str
    work: str
    size: int
    container: int


class FilePlace(NamedTuple):
    """A file, and where its bytes are now."""

    path: str
    work: str
    size: int
    sha512: str


class NamedFile(NamedTuple):
    """A payload file under its name in the AIP."""

    sha512: str
    name: str
    size: int
    work: str


class FormatTotal(NamedTuple):
    """How much there is of a format; ``puid`` may be ``unknown``."""

    puid: str
    name: str
    files: int
    bytes: int
    not_valid: int
    mime: str


def _other_form(path: str) -> str | None:
    """A name's normal form C; None for a plain one, which has no other."""
    return None if path.isascii() else unicodedata.normalize("NFC", path)


class Worklist:
    """The list. Every method that yields does so in a fixed order."""

    def __init__(self, folder: Path, algorithms: Iterable[DigestAlgorithm], *, new: bool = True) -> None:
        self.algorithms = tuple(dict.fromkeys((DigestAlgorithm.SHA512, *algorithms)))
        self._extra = [a for a in self.algorithms if a is not DigestAlgorithm.SHA512]
        # Batches arrive from more than one thread, one at a time.
        self._db = sqlite3.connect(
            folder / "worklist.sqlite", isolation_level=None, check_same_thread=False
        )
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-65536"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.create_function("nfc", 1, _other_form, deterministic=True)
        extra = "".join(f", {a.value} TEXT" for a in self._extra)
        if new:
            self._db.executescript(_SCHEMA.format(extra=extra))
        self._formats: dict[FileFormat, int] = {}

    @classmethod
    def reopen(cls, folder: Path, algorithms: Iterable[DigestAlgorithm]) -> Worklist:
        """The list that another process has made and closed, with the algorithms it was made for."""
        return cls(folder, algorithms, new=False)

    def close(self) -> None:
        """Give up the scratch file."""
        self._db.close()

    def add(self, batch: Iterable[ReceivedFile]) -> None:
        """Take in received files."""
        columns = "path, original, size, modified, work, sha512, payload, container"
        extra = "".join(f", {a.value}" for a in self._extra)
        marks = ", ".join("?" * (8 + len(self._extra)))
        self._db.execute("BEGIN")
        self._db.executemany(
            f"INSERT INTO file ({columns}{extra}) VALUES ({marks})",
            (
                (
                    f.path, f.original, f.size, f.modified, f.work,
                    f.digests[DigestAlgorithm.SHA512], int(f.payload), int(f.container),
                    *(f.digests[a] for a in self._extra),
                )
                for f in batch
            ),
        )  # fmt: skip
        self._db.execute("COMMIT")

    def has(self, path: str) -> bool:
        """Whether the bag holds this file."""
        return self._db.execute("SELECT 1 FROM file WHERE path = ?", (path,)).fetchone() is not None

    def has_below(self, prefix: str) -> bool:
        """Whether any file's path starts with ``prefix``, which ends in a slash."""
        query = "SELECT 1 FROM file WHERE path >= ? AND path < ? LIMIT 1"
        return self._db.execute(query, (prefix, prefix[:-1] + "0")).fetchone() is not None

    def paths(self, *, payload: bool) -> Iterator[str]:
        """All paths, ordered."""
        query = "SELECT path FROM file WHERE payload = ? ORDER BY path"
        yield from (row[0] for row in self._db.execute(query, (int(payload),)))

    def totals(self) -> tuple[int, int]:
        """Payload files and bytes."""
        query = "SELECT count(*), coalesce(sum(size), 0) FROM file WHERE payload = 1"
        row = self._db.execute(query).fetchone()
        return int(row[0]), int(row[1])

    # -- manifests -------------------------------------------------------------------------

    def list_entries(
        self, manifest: str, entries: Iterable[tuple[str, str]]
    ) -> Iterator[tuple[str, str, str]]:
        """Record (path, digest) entries of a manifest; yields (path, old, new) for repetitions."""
        self._db.execute("BEGIN")
        for path, digest in entries:
            done = self._db.execute(
                "INSERT OR IGNORE INTO listed VALUES (?, ?, ?)", (manifest, path, digest)
            )
            if done.rowcount == 0:
                query = "SELECT digest FROM listed WHERE manifest = ? AND path = ?"
                old = self._db.execute(query, (manifest, path)).fetchone()[0]
                yield path, old, digest
        self._db.execute("COMMIT")

    def absent(self, manifest: str) -> Iterator[str]:
        """Paths the manifest lists and the bag lacks."""
        query = """SELECT l.path FROM listed l LEFT JOIN file f ON f.path = l.path
                   WHERE l.manifest = ? AND f.id IS NULL ORDER BY l.path"""
        yield from (row[0] for row in self._db.execute(query, (manifest,)))

    def match_normalisation(self, manifest: str) -> None:
        """Let an entry that is not there mean the one file whose name is the same but for its Unicode
        normalisation. On disk, as there may be millions of either."""
        for statement in (
            "DROP TABLE IF EXISTS temp.form",
            "CREATE TEMP TABLE form (nfc TEXT, path TEXT, listed INTEGER)",
        ):
            self._db.execute(statement)
        absent = """INSERT INTO form SELECT nfc(l.path), l.path, 1 FROM listed l LEFT JOIN file f
                    ON f.path = l.path WHERE l.manifest = ? AND f.id IS NULL AND nfc(l.path) IS NOT NULL"""
        if self._db.execute(absent, (manifest,)).rowcount:
            self._db.execute(
                "INSERT INTO form SELECT nfc(path), path, 0 FROM file WHERE nfc(path) IS NOT NULL"
            )
            self._db.execute("CREATE INDEX temp.by_nfc ON form (nfc, listed)")
            pairs = """SELECT min(f.path), ?, min(l.path) FROM form l JOIN form f ON f.nfc = l.nfc
                       WHERE l.listed = 1 AND f.listed = 0 GROUP BY l.nfc
                       HAVING count(DISTINCT f.path) = 1"""
            relisted = "UPDATE OR IGNORE listed SET path = ? WHERE manifest = ? AND path = ?"
            self._db.executemany(relisted, self._db.execute(pairs, (manifest,)))
        self._db.execute("DROP TABLE temp.form")

    def unlisted(self, manifest: str) -> Iterator[tuple[str, bool]]:
        """Payload paths this manifest lacks, each with whether some other manifest has it."""
        query = """SELECT f.path, EXISTS (SELECT 1 FROM listed o WHERE o.path = f.path
                       AND o.manifest LIKE 'manifest-%')
                   FROM file f LEFT JOIN listed l ON l.path = f.path AND l.manifest = ?
                   WHERE f.payload = 1 AND l.path IS NULL ORDER BY f.path"""
        yield from ((row[0], bool(row[1])) for row in self._db.execute(query, (manifest,)))

    def mismatches(self, manifest: str, algorithm: DigestAlgorithm) -> Iterator[tuple[str, str, str]]:
        """(path, expected, found) where a file is not what the manifest says."""
        query = f"""SELECT l.path, l.digest, f.{algorithm.value} FROM listed l
                    JOIN file f ON f.path = l.path
                    WHERE l.manifest = ? AND l.digest <> f.{algorithm.value} ORDER BY l.path"""
        yield from self._db.execute(query, (manifest,))

    def listed_total(self, manifest: str) -> int:
        """Entries of a manifest."""
        query = "SELECT count(*) FROM listed WHERE manifest = ?"
        return int(self._db.execute(query, (manifest,)).fetchone()[0])

    # -- content ---------------------------------------------------------------------------

    def payload_digests(self) -> Iterator[tuple[str, str]]:
        """(path, SHA-512) of the payload in the order of the paths: the content's identity."""
        query = "SELECT path, sha512 FROM file WHERE payload = 1 ORDER BY path"
        yield from self._db.execute(query)

    def work_files(self) -> Iterator[WorkFile]:
        """Every payload file, in the order of receipt."""
        query = "SELECT id, path, work, size, container FROM file WHERE payload = 1 ORDER BY id"
        return map(WorkFile._make, self._db.execute(query))

    def set_formats(self, formats: Iterable[tuple[int, FileFormat]]) -> None:
        """Record what files are, by row."""
        self._db.execute("BEGIN")
        self._db.executemany(
            "UPDATE file SET format = ? WHERE id = ?",
            ((self._format_id(known), row) for row, known in formats),
        )
        self._db.execute("COMMIT")

    def _format_id(self, known: FileFormat) -> int:
        number = self._formats.get(known)
        if number is None:
            number = self._formats[known] = len(self._formats) + 1
            self._db.execute(
                "INSERT INTO format VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    number, known.puid, known.name, known.version,
                    known.mime, known.basis, known.warning,
                ),
            )  # fmt: skip
        return number

    def set_validation(self, found: Iterable[tuple[int, FileValidation]]) -> None:
        """Record what tools said of files, by row."""
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT OR REPLACE INTO validation VALUES (?, ?, ?, ?, ?)",
            (
                (row, said.validity, said.tool, json.dumps(said.messages), json.dumps(said.facts))
                for row, said in found
            ),
        )
        self._db.execute("COMMIT")

    def not_valid(self) -> Iterator[tuple[str, FileValidation]]:
        """(UUID, what was said) of files that a tool found not valid, in the order of their names."""
        query = """SELECT f.uuid, s.validity, s.tool, s.messages, s.facts FROM validation s
                   JOIN file f ON f.id = s.file WHERE s.validity = 'not-valid' ORDER BY f.name"""
        for uuid, *said in self._db.execute(query):
            yield uuid, _validation(*said)

    def validity_totals(self) -> Iterator[tuple[str, int]]:
        """(validity, files) of what tools looked at."""
        yield from self._db.execute("SELECT validity, count(*) FROM validation GROUP BY 1 ORDER BY 1")

    def set_names(self, names: Iterable[tuple[str, str, int]]) -> None:
        """Record (name in the AIP, UUID, row)."""
        self._db.execute("BEGIN")
        self._db.executemany("UPDATE file SET name = ?, uuid = ? WHERE id = ?", names)
        self._db.execute("COMMIT")
        self._db.execute("CREATE INDEX IF NOT EXISTS by_sha512 ON file (sha512, path)")

    def set_source(self, path: str, source: str) -> str:
        """Say which file (its UUID) the one at ``path`` was made from; the UUID it has itself."""
        self._db.execute("UPDATE file SET source = ? WHERE path = ?", (source, path))
        row = self._db.execute("SELECT uuid FROM file WHERE path = ?", (path,)).fetchone()
        return str(row[0])

    def package_files(self) -> Iterator[PackageFile]:
        """The content files as they will be in the AIP, in the order of their names."""
        known = {number: fmt for fmt, number in self._formats.items()}
        query = """SELECT f.uuid, f.name, f.original, f.size, f.sha512, f.modified, f.format,
                          coalesce(f.source, ''), s.validity, s.tool, s.messages, s.facts
                   FROM file f LEFT JOIN validation s ON s.file = f.id
                   WHERE f.payload = 1 ORDER BY f.name"""
        for uuid, name, original, size, sha512, modified, number, source, *said in self._db.execute(query):
            yield PackageFile(
                id=uuid,
                path=name,
                original=original,
                size=size,
                sha512=sha512,
                modified=_moment(modified),
                format=known.get(number, UNKNOWN_FORMAT),
                validation=_validation(*said) if said[0] is not None else None,
                source=source,
            )

    def by_digest(self) -> Iterator[NamedFile]:
        """The payload in the order of digests."""
        query = """SELECT sha512, name, size, work FROM file WHERE payload = 1
                   ORDER BY sha512, name"""
        return map(NamedFile._make, self._db.execute(query))

    def tag_files(self) -> Iterator[FilePlace]:
        """Everything outside the payload."""
        query = "SELECT path, work, size, sha512 FROM file WHERE payload = 0 ORDER BY path"
        return map(FilePlace._make, self._db.execute(query))

    def places(self) -> Iterator[FilePlace]:
        """Everything."""
        query = "SELECT path, work, size, sha512 FROM file ORDER BY path"
        return map(FilePlace._make, self._db.execute(query))

    def format_totals(self) -> Iterator[FormatTotal]:
        """How much there is of each format, most frequent first."""
        query = """SELECT coalesce(t.puid, 'unknown'), min(coalesce(t.name, 'unknown')), count(*),
                          sum(f.size), coalesce(sum(s.validity = 'not-valid'), 0),
                          max(coalesce(t.mime, ''))
                   FROM file f LEFT JOIN format t ON t.id = f.format
                   LEFT JOIN validation s ON s.file = f.id WHERE f.payload = 1
                   GROUP BY 1 ORDER BY 3 DESC, 1"""
        return map(FormatTotal._make, self._db.execute(query))

    def extents(self) -> dict[str, tuple[int, int]]:
        """(pages, seconds) of all files of a format, by PUID, where a tool read any."""
        query = """SELECT coalesce(t.puid, 'unknown'), s.facts FROM validation s
                   JOIN file f ON f.id = s.file LEFT JOIN format t ON t.id = f.format
                   WHERE s.facts LIKE '%"pages"%' OR s.facts LIKE '%"duration"%'"""
        found: dict[str, tuple[int, int]] = {}
        for puid, facts in self._db.execute(query):
            pages, seconds = pages_and_seconds(dict(json.loads(facts)))
            before = found.get(puid, (0, 0))
            found[puid] = (before[0] + pages, before[1] + seconds)
        return found


def _validation(validity: str, tool: str, messages: str, facts: str) -> FileValidation:
    said = tuple((name, value) for name, value in json.loads(facts))
    return FileValidation(validity, tool, tuple(json.loads(messages)), said)


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(0, UTC)
