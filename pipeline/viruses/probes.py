"""Three harmless files that show how a clamd is set up; nothing else tells."""

from __future__ import annotations

import io
import zipfile
from functools import cache

__all__ = ["eicar", "encrypted", "nested"]

_DEEPER_THAN_ANY = 120  # clamd refuses a MaxRecursion above 100


def eicar() -> bytes:
    """The test file every scanner is asked to find; in two halves, or it would find this one."""
    return b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + b"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


@cache
def nested() -> bytes:
    """An archive in an archive in an archive…: over the limit MaxRecursion, in 10 KB."""
    content = b"the end"
    for _ in range(_DEEPER_THAN_ANY):
        content = _zip(content)
    return content


@cache
def encrypted() -> bytes:
    """An archive whose only entry says that it is encrypted."""
    content = bytearray(_zip(b"no secret"))
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # APPNOTE 4.3.7, 4.3.12: bit 0
        content[content.index(header) + flags] |= 1
    return bytes(content)


def _zip(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("content.zip"), content)
    return target.getvalue()
