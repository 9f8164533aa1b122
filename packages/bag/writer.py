"""The tag files of a BagIt 1.0 bag (RFC 8493 §2.1, §2.2), as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packages.paths import bag_encode

__all__ = ["DECLARATION", "bag_info_lines", "manifest_line"]

DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
"""``bagit.txt`` (§2.1.1)."""


def bag_info_lines(fields: Mapping[str, str]) -> Iterator[str]:
    """``bag-info.txt`` (§2.2.2). A value becomes one line, and an empty one none."""
    for label, value in fields.items():
        if value:
            yield f"{label}: {' '.join(value.split())}\n"


def manifest_line(digest: str, path: str) -> str:
    """A line of a manifest or tag manifest (§2.1.3)."""
    return f"{digest}  {bag_encode(path)}\n"
