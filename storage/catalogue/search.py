"""How an AIP is found: by words, properties, a file's name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Integer, Select, column, select, table
from sqlalchemy import text as sql_text

from storage.catalogue.repository import Repository
from storage.catalogue.rows import AipRow
from storage.catalogue.tables import AIP, CATALOGUED, SEARCH
from storage.catalogue.words import facet, query_words
from storage.states import AipState

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


class SearchRecords(Repository):
    """The full-text index."""

    def find(self, wanted: Search, *, limit: int, before: int = 0) -> list[tuple[int, AipRow]]:
        """Kept AIPs, latest registered first, each with a mark to go on from (``before``)."""
        query = (
            select(AIP).join(CATALOGUED, AIP.c.id == CATALOGUED.c.aip).where(AIP.c.state == AipState.KEPT)
        )
        if wanted.begin:
            query = query.where(AIP.c.created >= wanted.begin)
        if wanted.end:
            query = query.where(AIP.c.created < f"{wanted.end}~")
        terms = _terms(wanted)
        query, mark = self._matching(query, terms) if terms else (query, CATALOGUED.c.number)
        query = query.add_columns(mark).order_by(mark.desc()).limit(limit)
        found: dict[str, tuple[int, AipRow]] = {}
        with self._database.transaction() as connection:
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
        if self._database.engine.dialect.name == "postgresql":
            asked = " & ".join(f"({' | '.join(_lexeme(word) for word in any_of)})" for any_of in terms)
            return query.where(sql_text("lexemes @@ CAST(:asked AS tsquery)")).params(
                asked=asked
            ), SEARCH.c.id
        index = table("search_index", column("rowid", Integer), column("search_index"))
        asked = " AND ".join(f"({' OR '.join(_phrase(word) for word in any_of)})" for any_of in terms)
        query = query.join(index, index.c.rowid == SEARCH.c.id)
        return query.where(index.c.search_index.match(asked)), index.c.rowid


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
