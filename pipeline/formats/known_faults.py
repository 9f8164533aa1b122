"""Known faults of foreign tools that reading a hostile file can set off, by the version that ends them."""

from __future__ import annotations

import re

from pipeline.formats.tool import ToolState

__all__ = ["KNOWN_FAULTS", "known_fault"]

KNOWN_FAULTS: dict[str, tuple[tuple[tuple[int, ...], str], ...]] = {
    "ExifTool": (((12, 24), "CVE-2021-22204: a DjVu file runs commands"),),
    "veraPDF": (((1, 30, 3), "external entities in XMP, unbounded recursion and memory"),),
    "JHOVE": (((1, 32, 1), "the fixes of 1.30 to 1.32.1 to its modules are missing"),),
    "Ghostscript": (
        ((10, 1, 2), "CVE-2023-36664: a file name runs commands"),
        ((10, 3, 1), "CVE-2024-29510: a document leaves -dSAFER"),
    ),
    "LibreOffice": (((7, 5, 9), "CVE-2023-6185, CVE-2023-6186: embedded media and links run code"),),
}
"""(the first version without it, what it is). Distributions fix older versions without renaming them; then
the line is out of date and the confinement is what counts."""


def known_fault(state: ToolState) -> str:
    """What the version that was found is known for; empty for none."""
    found = tuple(int(part) for part in re.findall(r"\d+", state.version)[:3])
    said = [
        f"{fault}; ended in {'.'.join(map(str, since))}"
        for since, fault in KNOWN_FAULTS.get(state.name, ())
        if found and found < since
    ]
    return f"known fault, unless the distribution fixed it: {'; '.join(said)}" if said else ""
