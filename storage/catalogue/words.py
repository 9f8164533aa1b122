"""The words of a text as the search knows them: the same for what is kept and for what is asked.

Letters are compared without case, width and accents. Chinese, Japanese and Korean text has no
spaces, so it is cut into overlapping pairs of characters: what contains 会议记录 contains 会议, 议记, 记录.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["facet", "index_words", "query_words"]

_RUN = re.compile(r"[^\W_]+")
_MARKS = re.compile("[\u0300-\u036f]")
_CJK = re.compile("([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+)")
_PARTS = re.compile(r"\d+|\D+")
_MAX_WORD_CHARACTERS = 64  # characters of a word that count


def index_words(text: str) -> Iterator[str]:
    """Everything a text can be found by, some words perhaps twice."""
    for run in _runs(text):
        if _CJK.match(run):
            yield from _pairs(run)
            yield run[-1]  # so that a single character is found as the beginning of something
        else:
            yield run[:_MAX_WORD_CHARACTERS]
            parts = _PARTS.findall(run)
            if len(parts) > 1:  # minutes2025 is found by 2025 too
                yield from (part[:_MAX_WORD_CHARACTERS] for part in parts)


def query_words(text: str) -> Iterator[tuple[str, bool]]:
    """(word, whether it may be only the beginning of one) of what somebody typed."""
    for run in _runs(text):
        if _CJK.match(run) and len(run) > 1:
            yield from ((pair, False) for pair in _pairs(run))
        else:
            yield run[:_MAX_WORD_CHARACTERS], True


def facet(kind: str, value: str) -> str:
    """A word for a property, which no text can contain: § is no letter."""
    return f"§{kind}" + "".join(c if c.isascii() and c.isalnum() else f"ß{ord(c):x}" for c in value)


def _runs(text: str) -> Iterator[str]:
    plain = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFKD", text))).casefold()
    for run in _RUN.findall(plain):
        yield from (part for part in _CJK.split(run) if part)


def _pairs(run: str) -> Iterator[str]:
    yield from (run[at : at + 2] for at in range(len(run) - 1))
