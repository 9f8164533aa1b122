"""Search: AIPs by what people know of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from dashboard.sources import Sources
from packages.identifiers import PackageId
from storage.catalogue import AipRow, FileRow, Search

__all__ = ["SearchPage", "search_page"]

_PAGE = 50
_DIGEST = re.compile(r"[0-9a-fA-F]{128}")


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of results. ``bad_day`` is a date that is none."""

    asked: Search
    aips: tuple[AipRow, ...]
    files: tuple[tuple[str, FileRow], ...]
    """Files with exactly the digest that was asked for."""
    following: int
    bad_day: str
    agencies: tuple[str, ...]


def search_page(sources: Sources, asked: Search, before: int) -> SearchPage:
    """Ask for it. An identifier or a SHA-512 in the text finds exactly what bears it."""
    catalogue = sources.catalogue
    agencies = tuple(row.name for row in catalogue.aips.tallies("agency"))
    bad = next((day for day in (asked.begin, asked.end) if day and not _is_day(day)), "")
    text = asked.text.strip()
    if bad:
        return SearchPage(asked, (), (), 0, bad, agencies)
    if _DIGEST.fullmatch(text):
        files = tuple(catalogue.files.with_digest(text.lower(), limit=_PAGE))
        return SearchPage(asked, (), files, 0, "", agencies)
    named = _named(sources, text)
    if named is not None:
        return SearchPage(asked, (named,), (), 0, "", agencies)
    found = catalogue.search.find(asked, limit=_PAGE + 1, before=before)
    following = found[_PAGE - 1][0] if len(found) > _PAGE else 0
    return SearchPage(asked, tuple(row for _, row in found[:_PAGE]), (), following, "", agencies)


def _named(sources: Sources, text: str) -> AipRow | None:
    try:
        return sources.catalogue.aips.get(PackageId.parse(text).urn)
    except ValueError:
        return None


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
