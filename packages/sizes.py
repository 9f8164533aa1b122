"""Bytes in words, for screens and pages alike."""

from __future__ import annotations

__all__ = ["size_text"]


def size_text(size: int) -> str:
    """Bytes for people, in binary units."""
    value, units = float(size), ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units:
        if value < 1024 or unit == units[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
