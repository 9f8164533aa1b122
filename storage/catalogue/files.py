"""Which files an AIP has, and how an AIP is found by words, properties, a file's name or digest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Integer, Select, column, delete, func, insert, select, table
from sqlalchemy import text as sql_text

from storage.catalogue.database import Database
from storage.catalogue.rows import AipRow, FileRow
from storage.catalogue.tables import AIP, CATALOGUED, FILE, SEARCH
from storage.catalogue.words import facet, index_words, query_words

__all__ = ["FileRecords", "Search", "put_files"]

_BATCH = 5000
_PART = 300_000  # bytes of words in one entry: PostgreSQL takes a megabyte, marks included
_MONTHS = 1200


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; what is empty does not matter. ``begin`` and ``end`` are days (ISO 8601).

    ``text`` is searched in titles, identifiers, agencies and file names: every word must occur.
    """

    text: str = ""
    agency: str = ""
    puid: str = ""
    begin: str = ""
    end: str = ""


class FileRecords(Database):
    """One row a file, and the full-text index."""

    def search(self, wanted: Search, *, limit: int, before: int = 0) -> list[tuple[int, AipRow]]:
        """Kept AIPs, latest registered first, each with a mark to go on from (``before``)."""
        query = select(AIP).join(CATALOGUED, AIP.c.id == CATALOGUED.c.aip).where(AIP.c.state == "kept")
        if wanted.begin:
            query = query.where(AIP.c.created >= wanted.begin)
        if wanted.end:
            query = query.where(AIP.c.created < f"{wanted.end}~")
        terms = _terms(wanted)
        query, mark = self._matching(query, terms) if terms else (query, CATALOGUED.c.number)
        query = query.add_columns(mark).order_by(mark.desc()).limit(limit)
        found: dict[str, tuple[int, AipRow]] = {}
        with self._transaction() as connection:
            while len(found) < limit:
                page = query.where(mark < before) if before else query
                rows = connection.execute(page).all()
                for *values, before in rows:
                    row = AipRow(*values)
                    found.setdefault(row.id, (before, row))  # a large AIP has several entries
                if len(rows) < limit:
                    break
        return list(found.values())[:limit]

    def _matching(self, query: Select[Any], terms: list[list[str]]) -> tuple[Select[Any], Any]:
        """The full-text index yields its entries from the latest on, and stops at the limit."""
        query = query.join(SEARCH, SEARCH.c.number == CATALOGUED.c.number)
        if self._engine.dialect.name == "postgresql":
            asked = " & ".join(f"({' | '.join(_lexeme(word) for word in any_of)})" for any_of in terms)
            return query.where(sql_text("lexemes @@ CAST(:asked AS tsquery)")).params(
                asked=asked
            ), SEARCH.c.id
        index = table("search_index", column("rowid", Integer), column("search_index"))
        asked = " AND ".join(f"({' OR '.join(_phrase(word) for word in any_of)})" for any_of in terms)
        query = query.join(index, index.c.rowid == SEARCH.c.id)
        return query.where(index.c.search_index.match(asked)), index.c.rowid

    def file_count(self, aip: str, puid: str = "") -> int:
        """How many files are listed for an AIP, of one format where one is named."""
        query = select(func.count()).select_from(FILE).where(FILE.c.number == _number_of(aip))
        if puid:
            query = query.where(FILE.c.puid == puid)
        with self._transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def files(self, aip: str, *, limit: int, skip: int = 0, puid: str = "") -> list[FileRow]:
        """A page of an AIP's files, in the order of their names."""
        query = select(FILE.c.path, FILE.c.size, FILE.c.puid, FILE.c.sha512)
        query = query.where(FILE.c.number == _number_of(aip)).order_by(FILE.c.position)
        if puid:
            query = query.where(FILE.c.puid == puid).offset(skip)
        else:
            query = query.where(FILE.c.position >= skip)
        with self._transaction() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return [FileRow(path, size, known, sha512.hex()) for path, size, known, sha512 in rows]

    def files_with_digest(self, sha512: str, *, limit: int) -> list[tuple[str, FileRow]]:
        """(AIP, file) of every kept file with this SHA-512 (hexadecimal, whole)."""
        wanted = bytes.fromhex(sha512)
        query = (
            select(CATALOGUED.c.aip, FILE.c.path, FILE.c.size, FILE.c.puid)
            .join(CATALOGUED, CATALOGUED.c.number == FILE.c.number)
            .join(AIP, AIP.c.id == CATALOGUED.c.aip)
            .where(FILE.c.digest_key == _key(wanted), FILE.c.sha512 == wanted, AIP.c.state == "kept")
            .limit(limit)
        )
        with self._transaction() as connection:
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


def _terms(wanted: Search) -> list[list[str]]:
    """All of these, each of them as one of its words; a word that ends in * is a beginning."""
    terms = [[f"{word}*" if begins else word] for word, begins in query_words(wanted.text)]
    if wanted.agency:
        terms.append([facet("a", wanted.agency)])
    if wanted.puid:
        terms.append([facet("p", wanted.puid)])
    months = list(_months(wanted.begin, wanted.end)) if wanted.begin or wanted.end else []
    if months and len(months) < _MONTHS:
        terms.append([facet("m", month) for month in months])
    return terms


def _months(begin: str, end: str) -> Iterator[str]:
    first = date.fromisoformat(begin or "1970-01-01")
    last = date.fromisoformat(end) if end else date.today()
    year, month = first.year, first.month
    while (year, month) <= (last.year, last.month):
        yield f"{year:04}-{month:02}"
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def _phrase(word: str) -> str:
    return f'"{word[:-1]}"*' if word.endswith("*") else f'"{word}"'


def _lexeme(word: str) -> str:
    return f"'{word[:-1]}':*" if word.endswith("*") else f"'{word}'"


def _number_of(aip: str) -> Any:
    return select(CATALOGUED.c.number).where(CATALOGUED.c.aip == aip).scalar_subquery()


def _key(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big", signed=True)
