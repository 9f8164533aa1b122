"""Which files an AIP has, and what makes it findable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from storage.catalogue.repository import Repository
from storage.catalogue.rows import AipRow, FileRow
from storage.catalogue.tables import AIP, CATALOGUED, FILE, SEARCH
from storage.catalogue.words import facet, index_words
from storage.states import AipState

_BATCH = 5000

_PART = 300_000  # bytes of words in one entry: PostgreSQL takes a megabyte, marks included


class FileRecords(Repository):
    """One row a file."""

    def count(self, aip: str, puid: str = "") -> int:
        """How many files are listed for an AIP, of one format where one is named."""
        query = select(func.count()).select_from(FILE).where(FILE.c.number == _number_of(aip))
        if puid:
            query = query.where(FILE.c.puid == puid)
        with self._database.transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def of(self, aip: str, *, limit: int, skip: int = 0, puid: str = "") -> list[FileRow]:
        """A page of an AIP's files, in the order of their names."""
        query = select(FILE.c.path, FILE.c.size, FILE.c.puid, FILE.c.sha512)
        query = query.where(FILE.c.number == _number_of(aip)).order_by(FILE.c.position)
        if puid:
            query = query.where(FILE.c.puid == puid).offset(skip)
        else:
            query = query.where(FILE.c.position >= skip)
        with self._database.transaction() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return [FileRow(path, size, known, sha512.hex()) for path, size, known, sha512 in rows]

    def with_digest(self, sha512: str, *, limit: int) -> list[tuple[str, FileRow]]:
        """(AIP, file) of every kept file with this SHA-512 (hexadecimal, whole)."""
        wanted = bytes.fromhex(sha512)
        query = (
            select(CATALOGUED.c.aip, FILE.c.path, FILE.c.size, FILE.c.puid)
            .join(CATALOGUED, CATALOGUED.c.number == FILE.c.number)
            .join(AIP, AIP.c.id == CATALOGUED.c.aip)
            .where(FILE.c.digest_key == _key(wanted), FILE.c.sha512 == wanted, AIP.c.state == AipState.KEPT)
            .limit(limit)
        )
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return [(aip, FileRow(path, size, puid, sha512)) for aip, path, size, puid in rows]


def put_files(connection: Connection, aip: AipRow, puids: Sequence[str], files: Iterable[FileRow]) -> None:
    """List an AIP's files, and make it findable; what was listed before is replaced."""
    old = connection.execute(select(CATALOGUED.c.number).where(CATALOGUED.c.aip == aip.id)).scalar()
    if old is not None:
        for one in (FILE, SEARCH, CATALOGUED):
            connection.execute(delete(one).where(one.c.number == old))
    made = connection.execute(insert(CATALOGUED).values(aip=aip.id)).inserted_primary_key
    assert made is not None
    number = int(made[0])
    words = _Words(aip, puids)
    batch: list[dict[str, Any]] = []
    for position, file in enumerate(files):
        digest = bytes.fromhex(file.sha512)
        batch.append({
            "number": number, "position": position, "path": file.path, "size": file.size,
            "puid": file.puid, "sha512": digest, "digest_key": _key(digest),
        })  # fmt: skip
        words.add(file.path)
        if len(batch) == _BATCH:
            _put(connection, number, batch, words)
    words.close()
    _put(connection, number, batch, words)


def _put(connection: Connection, number: int, batch: list[dict[str, Any]], words: _Words) -> None:
    if batch:
        connection.execute(insert(FILE), batch)
        batch.clear()
    for part in words.full:
        connection.execute(insert(SEARCH).values(number=number, words=part))
    words.full.clear()


class _Words:
    """The words of an AIP, each once, in entries of bounded size; every entry has the AIP's own."""

    def __init__(self, aip: AipRow, puids: Sequence[str]) -> None:
        own = (aip.title, aip.external_identifier, aip.agency, aip.id)
        self._own = {word for text in own for word in index_words(text)}
        self._own.add(facet("a", aip.agency))
        self._own.add(facet("m", aip.created[:7]))
        self._own.update(facet("p", puid) for puid in puids)
        self._words = set(self._own)
        self._size = 0
        self.full: list[str] = []

    def add(self, path: str) -> None:
        """One more file."""
        for word in index_words(path):
            if word not in self._words:
                self._words.add(word)
                self._size += len(word.encode("utf-8", "replace")) + 12
        if self._size > _PART:
            self.close()

    def close(self) -> None:
        """The entry is full."""
        self.full.append(" ".join(sorted(self._words)))
        self._words, self._size = set(self._own), 0


def _number_of(aip: str) -> Any:
    return select(CATALOGUED.c.number).where(CATALOGUED.c.aip == aip).scalar_subquery()


def _key(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big", signed=True)
