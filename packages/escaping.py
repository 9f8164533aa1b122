"""Text from outside, made harmless for where it goes: one function for each sink, called at the sink.

An agency's file names, fields and messages are shown and never obeyed: they make no line, no heading, no
link, no colour and no header of ours. HTML escapes by itself (the templates), JSON too.
"""

from __future__ import annotations

import re

from packages.paths import visible

__all__ = ["for_json_line", "for_log", "for_mail_header", "for_markdown", "for_page", "for_terminal"]

_MISLEADING = "\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""DEL, C1 (with a second form of ESC [), line separators, marks that turn the direction of writing."""
_CONTROL_BUT_LINES = re.compile(f"[\x00-\x08\x0b-\x1f{_MISLEADING}]")
_BEYOND_JSON = re.compile(f"[{_MISLEADING}]")
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")
_MAX_HEADER_CHARS = 200


def for_terminal(text: object) -> str:
    """One line without anything a terminal would obey. Rich's markup is not escaped here."""
    return visible(str(text))


def for_log(text: object) -> str:
    """One line of a log: what follows a line feed in a name is no entry of its own."""
    return visible(str(text))


def for_markdown(text: object) -> str:
    """Text within one line of Markdown, shown as it is (CommonMark §2.4); HTML in it is not HTML."""
    return _MARKDOWN.sub(r"\\\g<0>", visible(str(text)))


def for_mail_header(text: object) -> str:
    """The value of a header field: one line (RFC 5322 §2.2), cut to 200 characters."""
    return visible(str(text))[:_MAX_HEADER_CHARS]


def for_page(text: str) -> str:
    """Text of a page, before its template escapes it: lines stay, other control characters are shown."""
    return _CONTROL_BUT_LINES.sub(_shown, text)


def for_json_line(text: str) -> str:
    """A line of JSON as it is printed: characters that JSON leaves as they are and terminals obey become
    escapes of JSON, so that a reader gets the same string."""
    return _BEYOND_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _shown(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
