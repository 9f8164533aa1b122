"""How large the members of a zip are: ClamAV cuts off large ones, and calls what is left clean.

In every other container we tried it tells (AlertExceedsMax); of zip members it scans as much as
MaxFileSize allows and answers OK (1.4.6). Office documents are zips, too.
"""

from __future__ import annotations

import os
import struct
from io import BufferedReader

__all__ = ["largest_zip_member"]

_TAIL = 22 + 0xFFFF  # APPNOTE 4.3.16: the end record and the longest comment
_LOCATOR = 20
_IN_ZIP64 = 0xFFFFFFFF


def largest_zip_member(file: int) -> int:
    """The size that the largest member of a zip claims; 0 when it is no zip, or has no directory.

    The directory is read entry by entry: there may be millions.
    """
    if os.pread(file, 4, 0) != b"PK\3\4":
        return 0
    with open(file, "rb", closefd=False) as archive:
        begin, end = _directory(archive)
        archive.seek(begin)
        largest = 0
        while archive.tell() < end and (entry := archive.read(46)).startswith(b"PK\1\2"):
            if len(entry) < 46:
                break
            size, name, extra, comment = struct.unpack("<24xI3H12x", entry)
            archive.seek(name, os.SEEK_CUR)
            if size == _IN_ZIP64:
                size = _zip64_size(archive.read(extra))
                extra = 0
            largest = max(largest, size)
            archive.seek(extra + comment, os.SEEK_CUR)
        return largest


def _zip64_size(extra: bytes) -> int:
    """The size in the zip64 field, where it comes first (APPNOTE 4.5.3)."""
    while len(extra) >= 12:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 1 and length >= 8:
            return int.from_bytes(extra[4:12], "little")
        extra = extra[4 + length :]
    return _IN_ZIP64


def _directory(archive: BufferedReader) -> tuple[int, int]:
    """Where the central directory begins and ends, whatever precedes the archive."""
    length = archive.seek(0, os.SEEK_END)
    archive.seek(max(0, length - _TAIL))
    tail = archive.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        return 0, 0
    end = length - len(tail) + at
    (size,) = struct.unpack_from("<I", tail, at + 12)
    if tail[max(0, at - _LOCATOR) : at].startswith(b"PK\6\7"):  # 4.3.15
        (where,) = struct.unpack_from("<Q", tail, at - _LOCATOR + 8)
        if where < length:
            archive.seek(where)
            record = archive.read(56)
            if record.startswith(b"PK\6\6") and len(record) == 56:
                end = where
                (size,) = struct.unpack_from("<Q", record, 40)
    return max(0, end - size), end
