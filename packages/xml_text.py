"""Escaping for XML that is written as a stream of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from packages.paths import safe_in_xml

_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ATTRIBUTE = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "\n": "&#10;",
        "\r": "&#13;",
        "\t": "&#9;",
    }
)
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def text(value: str) -> str:
    """``value`` as element content."""
    return _escaped(value, _TEXT)


def attribute(value: str) -> str:
    """``value`` between double quotes."""
    return _escaped(value, _ATTRIBUTE)


def _escaped(value: str, table: Mapping[int, str]) -> str:
    if value.isalnum() and value.isascii():  # digests, mostly: nothing in them is special
        return value
    return safe_in_xml(value).translate(table)


def encoded(parts: Iterable[str], *, batch: int = 512) -> Iterator[bytes]:
    """Join a stream of text into UTF-8 chunks of ``batch`` parts, so writing costs few calls."""
    held: list[str] = []
    for part in parts:
        held.append(part)
        if len(held) >= batch:
            yield "".join(held).encode()
            held.clear()
    if held:
        yield "".join(held).encode()
