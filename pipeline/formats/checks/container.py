"""Containers: every member unpacked and its checksum compared, and the parts that must be there.

ZIP (APPNOTE), OPC (ECMA-376-2), ODF (1.3 part 2), OFD (GB/T 33190), SIARD, EPUB, gzip and tar.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO

from lxml import etree

from packages.containers.sources import (
    CorruptArchive,
    TooManyEntries,
    refuse_large_directory,
    refuse_overlaps,
)
from pipeline.agreement import Limits
from pipeline.formats.tool import ValidationResult, Validity
from schemas.xml import require_memory, safe_parser

_CHUNK = 1 << 20
_METADATA_LIMIT = 64 << 20
_LIMITS = Limits(max_memory=512 << 20)
"""A ZIP whose directory takes more than half of that is not looked into."""
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, IndexError, NotImplementedError)


class _Unsound(Exception):
    """Something that must be there is not, or is not what it must be."""


def check_zip(path: str) -> ValidationResult:
    """Any ZIP."""
    return _zip(path, "zipfile", lambda archive: {})


def check_opc(path: str) -> ValidationResult:
    """An Open Packaging container: content types, root relationships, and the part they name."""
    return _zip(path, "zipfile, OPC", _opc)


def check_odf(path: str) -> ValidationResult:
    """An OpenDocument package: media type, manifest, content."""
    return _zip(path, "zipfile, ODF", _odf)


def check_ofd(path: str) -> ValidationResult:
    """An OFD document: OFD.xml and every document and page it leads to."""
    return _zip(path, "zipfile, OFD", _ofd)


def check_siard(path: str) -> ValidationResult:
    """A SIARD archive: its metadata, and a file for every table that is said to hold rows."""
    return _zip(path, "zipfile, SIARD", _siard)


def check_epub(path: str) -> ValidationResult:
    """An EPUB container: media type and container.xml."""
    return _zip(path, "zipfile, EPUB", _epub)


def check_gzip(path: str) -> ValidationResult:
    """Unpacked whole; the checksum at its end compared."""
    try:
        with open(path, "rb") as raw:
            if raw.read(2) != b"\x1f\x8b":
                return ValidationResult(Validity.NOT_VALID, "gzip", ("it does not begin as gzip does",))
        with gzip.open(path) as stream:
            size = _drain(stream)
    except _BROKEN as error:
        return ValidationResult(Validity.NOT_VALID, "gzip", (str(error)[:300] or type(error).__name__,))
    return ValidationResult(Validity.VALID, "gzip", (), {"unpacked bytes": str(size)})


def check_tar(path: str) -> ValidationResult:
    """Every header's checksum and every member's length."""
    try:
        with tarfile.open(path, "r:") as archive:
            members = 0
            for member in archive:
                members += 1
                if member.isreg() and (stream := archive.extractfile(member)) is not None:
                    size = _drain(stream)
                    if size != member.size:
                        raise tarfile.ReadError(f"{member.name} is cut short")
            end = archive.offset
        with open(path, "rb") as raw:
            raw.seek(end)
            if not members or raw.read(1024) != bytes(1024):
                raise tarfile.ReadError("the two empty blocks at its end are missing")
    except (tarfile.TarError, *_BROKEN) as error:
        return ValidationResult(Validity.NOT_VALID, "tarfile", (str(error)[:300] or type(error).__name__,))
    return ValidationResult(Validity.VALID, "tarfile", (), {"members": str(members)})


def _zip(path: str, tool: str, more: Callable[[zipfile.ZipFile], dict[str, str]]) -> ValidationResult:
    try:
        refuse_large_directory(Path(path), _LIMITS)
    except TooManyEntries as error:
        return ValidationResult(Validity.UNKNOWN, tool, (f"not looked into: {error}",))
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_overlaps(archive.infolist())
            problems = []
            for member in archive.infolist():
                if member.flag_bits & 1:
                    continue  # its content is nobody's to check; it is reported as encrypted
                try:
                    with archive.open(member) as stream:
                        _drain(stream)
                except _BROKEN as error:
                    problems.append(f"{member.filename}: {str(error) or type(error).__name__}"[:300])
            facts = {"members": str(len(archive.infolist()))}
            if not problems:
                facts |= more(archive)
    except CorruptArchive as error:
        return ValidationResult(Validity.NOT_VALID, tool, (str(error)[:300],))
    except _Unsound as error:
        return ValidationResult(Validity.NOT_VALID, tool, (str(error)[:300],), facts)
    except (RuntimeError, *_BROKEN) as error:
        return ValidationResult(Validity.NOT_VALID, tool, (str(error)[:300] or type(error).__name__,))
    if problems:
        return ValidationResult(Validity.NOT_VALID, tool, tuple(problems[:20]), facts)
    plain = tool == "zipfile"
    return ValidationResult(Validity.VALID if plain else Validity.WELL_FORMED, tool, (), facts)


def _drain(stream: IO[bytes] | gzip.GzipFile) -> int:
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
    return size


def _part(archive: zipfile.ZipFile, name: str) -> etree._Element:
    """A metadata part, parsed. Raises _Unsound when it is missing or no XML."""
    try:
        with archive.open(name) as stream:
            return etree.fromstring(stream.read(_METADATA_LIMIT), safe_parser())
    except KeyError:
        raise _Unsound(f"{name} is missing") from None
    except etree.XMLSyntaxError as error:
        require_memory(error)
        raise _Unsound(f"{name} is no well-formed XML: {error.msg}") from None


def _opc(archive: zipfile.ZipFile) -> dict[str, str]:
    _part(archive, "[Content_Types].xml")
    targets = [
        str(one.get("Target", "")).lstrip("/")
        for one in _part(archive, "_rels/.rels").iter("{*}Relationship")
        if one.get("TargetMode") != "External" and str(one.get("Type", "")).endswith("/officeDocument")
    ]
    for target in targets:
        if target.endswith(".xml"):
            _part(archive, target)
        elif target not in archive.namelist():
            raise _Unsound(f"{target} is missing")
    facts = {}
    if "docProps/app.xml" in archive.namelist():
        pages = _part(archive, "docProps/app.xml").findtext("{*}Pages")
        facts = {"pages by its own count": pages} if pages else {}
    return facts


def _odf(archive: zipfile.ZipFile) -> dict[str, str]:
    try:
        mime = archive.read("mimetype").decode("ascii", "replace")
    except KeyError:
        raise _Unsound("mimetype is missing") from None
    _part(archive, "META-INF/manifest.xml")
    _part(archive, "content.xml")
    return {"media type": mime[:100]}


def _ofd(archive: zipfile.ZipFile) -> dict[str, str]:
    names = set(archive.namelist())
    pages = signatures = 0
    for root in _part(archive, "OFD.xml").iter("{*}DocRoot"):
        document = str(root.text or "").strip().lstrip("/")
        parsed = _part(archive, document)
        for page in parsed.iterfind(".//{*}Pages/{*}Page"):
            pages += 1
            place = _beside(document, str(page.get("BaseLoc", "")))
            if place not in names:
                raise _Unsound(f"{document} names page {place}, which is missing")
            _part(archive, place)
    for one in _part(archive, "OFD.xml").iter("{*}Signatures"):
        place = str(one.text or "").strip().lstrip("/")
        if place in names:  # a list of no signatures is often left out
            signatures += sum(1 for _ in _part(archive, place).iter("{*}Signature"))
    kind = str(_part(archive, "OFD.xml").get("DocType", ""))
    return {"pages": str(pages), "signatures": str(signatures), "profile": kind}


def _beside(document: str, place: str) -> str:
    """A location in OFD is from the root when it begins with a slash, else from its document."""
    if place.startswith("/"):
        return place.lstrip("/")
    parts: list[str] = document.split("/")[:-1]
    for part in place.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _siard(archive: zipfile.ZipFile) -> dict[str, str]:
    metadata = _part(archive, "header/metadata.xml")
    names = set(archive.namelist())
    tables = rows = 0
    for schema in metadata.iterfind(".//{*}schema"):
        for table in schema.iterfind("{*}tables/{*}table"):
            tables += 1
            folders = (schema.findtext("{*}folder"), table.findtext("{*}folder"))
            place = f"content/{folders[0]}/{folders[1]}/{folders[1]}.xml"
            said = int(table.findtext("{*}rows") or 0)
            rows += said
            if said and place not in names:
                raise _Unsound(f"table {table.findtext('{*}name')} has {said} rows, but {place} is missing")
    return {"tables": str(tables), "rows": str(rows), "version": str(metadata.get("version", ""))}


def _epub(archive: zipfile.ZipFile) -> dict[str, str]:
    if "mimetype" not in archive.namelist():
        raise _Unsound("mimetype is missing")
    container = _part(archive, "META-INF/container.xml")
    for root in container.iter("{*}rootfile"):
        _part(archive, str(root.get("full-path", "")))
    return {}
