"""Archives among the records: are they locked, do they expand enormously? Nothing is unpacked.

Run in a process of its own (``archive_worker``): the bytes are an agency's.
"""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import rarfile

from packages.containers.sources import (
    CorruptArchive,
    EncryptedArchive,
    TooManyEntries,
    ZipSource,
    corruption,
)
from packages.package_file import FileFormat
from packages.problems.catalogue import problem
from packages.problems.problem import Problem
from pipeline.agreement import Limits

_SUSPICIOUS = 200.0
_SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
_AES = b"\x06\xf1\x07\x01"  # 7-Zip's coder id for AES-256 + SHA-256
_HEADER_LIMIT = 8 << 20
_LOOKED_INTO = Limits(max_memory=256 << 20)
"""An archive among the files whose directory takes more than half of that is not looked into."""


def inspect_container(path: Path, name: str, known: FileFormat) -> list[Problem]:
    """Findings about one file; an empty list for anything that is no archive. Raises SourceUnreadable."""
    with path.open("rb") as stream:
        magic = stream.read(8)
    try:
        if magic[:4] == b"PK\3\4":
            return _zip(path, name)
        if magic[:6] == _SEVEN_ZIP:
            return _locked(name, _seven_zip_lock(path))
        if magic[:4] == b"Rar!":
            return _locked(name, _rar_lock(path))
    except EncryptedArchive as error:
        return _locked(name, str(error))
    except TooManyEntries as error:
        return [problem("FMT-NOT-CHECKED", name, found=f"not looked into: {error}")]
    except CorruptArchive:
        return []  # damaged archives are the format validators' finding
    return _locked(name, known.name) if is_locked_format(known) else []


def is_locked_format(known: FileFormat) -> bool:
    """Whether PRONOM has the locked files of a format as a format of their own: Word's of 1997 to 2003
    (fmt/754), Office's since 2007 (fmt/494)."""
    name = known.name.lower()
    return bool(known.puid) and ("encrypted" in name or "password protected" in name)


def _locked(name: str, reason: str | None) -> list[Problem]:
    return [problem("FMT-ENCRYPTED", name, found=reason)] if reason else []


def _zip(path: Path, name: str) -> list[Problem]:
    source = ZipSource(path, _LOOKED_INTO)
    found: list[Problem] = []
    try:
        entries = list(source.entries())
        found += _locked(name, _odf_lock(source))
    finally:
        source.close()
    locked = [entry.path for entry in entries if entry.encrypted]
    if locked:
        some = f"{len(locked)} of {len(entries)} entries, for instance {locked[0]}"
        found.append(problem("FMT-ENCRYPTED", name, found=some))
    worst = max(entries, key=lambda entry: entry.expansion, default=None)
    if worst is not None and worst.expansion > _SUSPICIOUS:
        how = f"{worst.path} expands {worst.expansion:.0f} to 1"
        found.append(problem("FMT-EXPANDS", name, found=how))
    guessed = next((entry for entry in entries if entry.guessed), None)
    if guessed is not None:
        found.append(
            problem(
                "PATH-ENCODING-GUESSED",
                f"{name}: {guessed.path}",
                expected=guessed.guessed or "",
                found=guessed.raw,
            )
        )
    return found


def _odf_lock(source: ZipSource) -> str | None:
    """OpenDocument locks its parts one by one, and says so in its manifest (ODF 1.3 part 2 §3.4)."""
    for entry, opener in source.contents():
        if entry.path == "META-INF/manifest.xml" and not entry.encrypted:
            with opener() as stream, corruption():
                parts = stream.read(_HEADER_LIMIT).count(b"encryption-data ")
            return f"OpenDocument, {parts} part(s) encrypted by its manifest" if parts else None
    return None


def _rar_lock(path: Path) -> str | None:
    try:
        with corruption(), rarfile.RarFile(str(path)) as archive:
            return "RAR, password needed" if archive.needs_password() else None
    except rarfile.Error as error:
        raise CorruptArchive(str(error)) from error


def _seven_zip_lock(path: Path) -> str | None:
    """Look for the AES coder in the header of a 7-Zip archive, unpacking the header if need be."""
    with path.open("rb") as stream, corruption():
        start = stream.read(32)
        offset, size, _crc = struct.unpack("<QQL", start[12:32])
        if size > _HEADER_LIMIT:
            return None
        stream.seek(32 + offset)
        header = stream.read(size)
        if _AES in header:
            return "7-Zip, AES-256"
        if header[:1] == b"\x17" and _AES in _packed_header(stream, header):
            return "7-Zip, AES-256"
    return None


def _packed_header(stream: object, header: bytes) -> bytes:
    """The real header, when it is packed with LZMA (7zFormat.txt, EncodedHeader)."""
    at = header.find(b"\x03\x01\x01")  # the coder id of LZMA
    if at < 0 or header[1:2] != b"\x06":
        return b""
    position, pack_position = _number(header, 2)

    size_at = header.index(b"\x09", pack_position) + 1
    pack_size, _ = _number(header, size_at)
    properties = header[at + 4 : at + 9]
    unpack_at = header.index(b"\x0c", at) + 1
    unpack_size, _ = _number(header, unpack_at)
    if pack_size > _HEADER_LIMIT or unpack_size > _HEADER_LIMIT:
        return b""
    stream.seek(32 + position)  # type: ignore[attr-defined]
    packed = stream.read(pack_size)  # type: ignore[attr-defined]
    alone = properties + unpack_size.to_bytes(8, "little") + packed
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=64 << 20).decompress(alone, unpack_size)
    except lzma.LZMAError:
        return b""


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A 7-Zip variable-length number and the position behind it."""
    first, mask, value = data[at], 0x80, 0
    for index in range(8):
        if not first & mask:
            return value + ((first & (mask - 1)) << (8 * index)), at + 1 + index
        value |= data[at + 1 + index] << (8 * index)
        mask >>= 1
    return value, at + 9
