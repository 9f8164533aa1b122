"""Signatures for formats that PRONOM lacks, as data: bytes, ZIP members, XML roots, OLE2 streams.

A signature is a TOML table (docs/howto/own-signatures.md); an archive adds its own files. It is
looked at only where PRONOM's answer is one of ``after``, so an ordinary file costs nothing.
"""

from __future__ import annotations

import struct
import tomllib
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from xml.parsers import expat

from packages.containers.sources import TooManyEntries, refuse_large_directory

__all__ = ["LocalFormat", "SignatureError", "load_signatures", "match_local", "too_many_members"]

_START = 1 << 16
_MEMBER_LIMIT = 1 << 20
_MIN_FLOOD_BYTES = 8 << 20  # 46 bytes a member, and as many as the limit allows
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")


@dataclass(frozen=True, slots=True)
class _DirectoryLimits:
    """How large a ZIP's directory may be to be read here: formats of ZIP packages have few members."""

    max_files: int = 200_000
    max_memory: int = 256 << 20


class SignatureError(ValueError):
    """A signature file is wrong; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class XmlRoot:
    """The first element of an XML document: what it is, or (several namespaces) what it may be."""

    namespaces: tuple[str, ...]
    name: str
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class LocalFormat:
    """One format and how it is recognised: all the conditions that are given must hold."""

    id: str
    name: str
    version: str
    mime: str
    after: frozenset[str]
    extensions: frozenset[str]
    only_with_extension: bool
    magic: bytes
    zip_members: tuple[str, ...]
    damaged_prefixes: tuple[str, ...]
    """Begins of member names that, with the extension, are enough where the directory is lost."""
    xml_member: str
    xml_root: XmlRoot | None
    ole_streams: frozenset[str]


def load_signatures(folders: Sequence[Path]) -> tuple[LocalFormat, ...]:
    """All signatures, in the order of folders and file names; the first that fits wins.

    Raises SignatureError.
    """
    found: list[LocalFormat] = []
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            try:
                tables = tomllib.loads(path.read_text("utf-8"))["format"]
                found += [_format(table) for table in tables]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise SignatureError(f"signatures in {path}: {error}") from error
    return tuple(found)


def _format(table: dict[str, Any]) -> LocalFormat:
    known = {
        "id", "name", "version", "mime", "after", "extensions", "only_with_extension", "magic",
        "zip_members", "damaged_prefixes", "xml_member", "xml_root", "ole_streams", "reference",
    }  # fmt: skip
    unknown = set(table) - known
    if unknown:
        raise ValueError(f"unknown key {', '.join(sorted(unknown))}")
    if not table["id"].startswith("local/"):
        raise ValueError(f"{table['id']}: an id of our own begins with “local/”")
    root = table.get("xml_root")
    made = LocalFormat(
        id=table["id"],
        name=table["name"],
        version=table.get("version", ""),
        mime=table.get("mime", ""),
        after=frozenset(table["after"]),
        extensions=frozenset(table.get("extensions", ())),
        only_with_extension=table.get("only_with_extension", False),
        magic=table.get("magic", "").encode("ascii"),
        zip_members=tuple(table.get("zip_members", ())),
        damaged_prefixes=tuple(table.get("damaged_prefixes", ())),
        xml_member=table.get("xml_member", ""),
        xml_root=_root(root) if root else None,
        ole_streams=frozenset(table.get("ole_streams", ())),
    )
    if not (made.magic or made.zip_members or made.xml_root or made.ole_streams):
        raise ValueError(f"{made.id}: nothing to recognise it by")
    return made


def _root(table: dict[str, Any]) -> XmlRoot:
    return XmlRoot(tuple(table["namespaces"]), table["name"], table.get("attributes", {}))


def match_local(path: str, puid: str, formats: Sequence[LocalFormat]) -> tuple[LocalFormat, str] | None:
    """The first format that fits and the basis in words; None where PRONOM's answer stands.

    Never raises for what is in the file.
    """
    candidates = [one for one in formats if puid in one.after]
    if not candidates:
        return None
    with suppress(OSError), open(path, "rb") as stream:
        file = _File(stream, path.rpartition(".")[2].lower())
        for one in candidates:
            basis = file.fits(one)
            if basis:
                return one, basis
    return None


def too_many_members(path: str) -> str:
    """Why a ZIP's directory is not read at all: how much there is of it. Empty for every other file."""
    with suppress(OSError):
        if Path(path).stat().st_size < _MIN_FLOOD_BYTES:
            return ""
        with open(path, "rb") as stream:
            if stream.read(4) != b"PK\3\4":
                return ""
        try:
            refuse_large_directory(Path(path), _DirectoryLimits())
        except TooManyEntries as error:
            return f"begins as a ZIP; not looked into: {error}"
    return ""


class _File:
    """One file, looked into only as far as a signature asks."""

    def __init__(self, stream: BinaryIO, extension: str) -> None:
        self._stream = stream
        self._extension = extension
        self._start = stream.read(_START)
        self._members: dict[str, bytes | None] | None = None
        self._damaged = False  # a ZIP of which the directory cannot be read
        self._cut_short = False  # the member to look for is among what is lost
        self._streams: frozenset[str] | None = None

    def fits(self, one: LocalFormat) -> str:
        """In words what was recognised, nothing when it does not fit."""
        with_extension = self._extension in one.extensions
        if one.only_with_extension and not with_extension:
            return ""
        seen = []
        if one.magic:
            if not self._start.startswith(one.magic):
                return ""
            seen.append(f"first bytes “{one.magic.decode('ascii')}”")
        if one.zip_members:
            said = self._zip_fits(one)
            if not said:
                return ""
            seen.append(said)
        if one.ole_streams:
            if not one.ole_streams <= self._ole_streams():
                return ""
            seen.append(f"OLE2 with stream {', '.join(sorted(one.ole_streams))}")
        if one.xml_root and not self._cut_short:
            said = self._root_fits(one, one.xml_root)
            if not said:
                return ""
            seen.append(said)
        if with_extension:
            seen.append(f"extension {self._extension}")
        return "; ".join(seen)

    def _zip_fits(self, one: LocalFormat) -> str:
        members = self._zip_members()
        if all(member in members for member in one.zip_members):
            return f"ZIP with {', '.join(one.zip_members)}"
        if not self._damaged or self._extension not in one.extensions:
            return ""
        hints = [name for name in members if name.startswith(one.damaged_prefixes)]
        self._cut_short = bool(hints)
        return f"damaged ZIP with {hints[0]}" if hints else ""

    def _root_fits(self, one: LocalFormat, wanted: XmlRoot) -> str:
        content = self._member(one.xml_member) if one.xml_member else self._start
        if content is None:  # the member is there and cannot be read: damaged, and still this format
            return "" if wanted.attributes else f"{one.xml_member} cannot be read"
        root = _xml_root(content)
        if root is None or root.name != wanted.name or root.namespaces[0] not in wanted.namespaces:
            return ""
        if any(root.attributes.get(name) != value for name, value in wanted.attributes.items()):
            return ""
        return f"root element {wanted.name} in {root.namespaces[0]}"

    def _zip_members(self) -> dict[str, bytes | None]:
        if self._members is None:
            self._members = {}
            if self._start[:2] == b"PK":
                try:
                    refuse_large_directory(Path(self._stream.name), _DirectoryLimits())
                    self._members = _directory(self._stream)
                    self._damaged = not self._members
                except TooManyEntries:
                    self._members = {}
                self._members = self._members or _local_headers(self._start)
        return self._members

    def _member(self, name: str) -> bytes | None:
        members = self._zip_members()
        if name in members and members[name] is None:
            with (
                suppress(Exception),  # zipfile raises many kinds for damaged members
                zipfile.ZipFile(self._stream) as archive,
                archive.open(name) as member,
            ):
                members[name] = member.read(_MEMBER_LIMIT)
        return members.get(name)

    def _ole_streams(self) -> frozenset[str]:
        if self._streams is None:
            self._streams = _ole_directory(self._stream) if self._start.startswith(_OLE) else frozenset()
        return self._streams


def _directory(stream: BinaryIO) -> dict[str, bytes | None]:
    """The names in a ZIP's directory; none when it cannot be read."""
    try:
        with zipfile.ZipFile(stream) as archive:
            return dict.fromkeys(archive.namelist())
    except Exception:  # zipfile raises many kinds for damaged archives
        return {}


def _local_headers(start: bytes) -> dict[str, bytes | None]:
    """The names in the local headers at the start of a damaged ZIP (APPNOTE 4.3.7)."""
    names: dict[str, bytes | None] = {}
    at = start.find(b"PK\3\4")
    while 0 <= at <= len(start) - 30:
        length = struct.unpack_from("<H", start, at + 26)[0]
        names[start[at + 30 : at + 30 + length].decode("utf-8", "replace")] = None
        at = start.find(b"PK\3\4", at + 30)
    return names


class _Found(Exception):
    """The first element was seen: nothing more is read."""


def _xml_root(content: bytes) -> XmlRoot | None:
    """The first element; None for anything that is not XML. Entities are never expanded."""
    root: list[XmlRoot] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        root.append(XmlRoot((namespace,), local, attributes))
        raise _Found

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    with suppress(_Found, expat.ExpatError, ValueError, LookupError):
        parser.Parse(content[:_START], False)
    return root[0] if root else None


def _ole_directory(stream: BinaryIO) -> frozenset[str]:
    """Names in the directory of a compound file ([MS-CFB] 2.6), as far as its chain can be followed."""
    stream.seek(0)
    header = stream.read(512)
    if len(header) < 512:
        return frozenset()
    size = 1 << min(struct.unpack_from("<H", header, 30)[0], 16)
    table: list[int] = []
    for sector in struct.unpack_from("<109I", header, 76):
        if sector < 0xFFFFFFFA:
            stream.seek((sector + 1) * size)
            block = stream.read(size)
            table += struct.unpack(f"<{len(block) // 4}I", block[: len(block) // 4 * 4])
    names: set[str] = set()
    sector, visited = struct.unpack_from("<I", header, 48)[0], 0
    while sector < len(table) and visited < 4096:
        stream.seek((sector + 1) * size)
        block = stream.read(size)
        for at in range(0, len(block) - 127, 128):
            length = struct.unpack_from("<H", block, at + 64)[0]
            if 2 <= length <= 64 and block[at + 66]:
                names.add(block[at : at + length - 2].decode("utf-16-le", "replace"))
        sector, visited = table[sector], visited + 1
    return frozenset(names)
