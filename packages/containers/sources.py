"""The forms a submission comes in. Each lists its entries first, then gives their bytes in order."""

from __future__ import annotations

import errno
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self, cast

from packages.containers.name_encoding import (
    DecodedName,
    decode_names,
    unicode_path,
    without_unicode_path,
)
from packages.paths import printable


class EntryKind(StrEnum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    DEVICE = "special file"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a submission.

    ``path`` as we read it, ``size`` in bytes as declared, ``packed`` bytes in the archive,
    ``modified`` seconds since 1970, ``target`` of a link, ``guessed`` the encoding of a guessed
    name with ``raw`` showing its bytes. ``backslashes``: the archive had them where ``path`` has “/”.
    """

    path: str
    kind: EntryKind
    size: int
    packed: int
    modified: int
    target: str = ""
    encrypted: bool = False
    guessed: str | None = None
    raw: str = ""
    backslashes: bool = False

    @property
    def expansion(self) -> float:
        """How many times larger it becomes when unpacked; 1 for small ones."""
        return self.size / max(self.packed, 1) if self.size >= _EXPANDS_FROM else 1.0


_READ_AHEAD_FROM = 1 << 20
_EXPANDS_FROM = 1 << 20  # small files may compress as well as they like
_TAR_EXTENSIONS = (
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)  # fmt: skip
_MAX_TAR_EXTENSION_BYTES = 1 << 16
_MAX_SPARSE_PIECES = 10_000
_MAX_DIGITS = 1000
_DIGITS = re.compile(rb"\d+")
_MAX_ZIP_DIRECTORY_SHARE = 0.5
"""Of the memory that a package may take: Python's reader keeps the whole directory."""
_ZIP_ENTRY_BYTES = 700  # in memory, besides its bytes in the directory
_LOCAL_HEADER_BYTES = 30  # APPNOTE 4.3.7, besides name, extra field and content
_OF_MS_DOS = (0, 10, 14)  # FAT, NTFS, VFAT: APPNOTE 4.4.2.2
_HINTS = 10_000  # certain names that help to guess the others


class ReadingLimits(Protocol):
    """How much of a package may be held while it is read."""

    @property
    def max_files(self) -> int:
        """Entries in one package."""

    @property
    def max_memory(self) -> int:
        """Bytes of memory."""


class SourceUnreadable(Exception):
    """Nothing is there, or we may not read it, or the disk fails: no fault of the package."""


class CorruptArchive(Exception):
    """The archive cannot be read; the message says why. A finding about the content, not a fault."""


class TooManyEntries(Exception):
    """The archive lists more files than are allowed, or than there is memory for."""

    def __init__(self, entries: int, held: int) -> None:
        super().__init__(f"a directory of {entries:,} entries, which takes {held >> 20} MiB of memory")


class EncryptedArchive(Exception):
    """The archive cannot be listed without a password."""


Opener = Callable[[], BinaryIO]
"""Opens the bytes of one entry. Raises CorruptArchive, PermissionError."""


class Source(Protocol):
    """A submission that can be listed and then read, neither of which holds all entries at once.

    (A zip is the exception: Python's zipfile keeps its directory, about 600 bytes an entry.)
    """

    form: str
    packed_size: int | None
    """Bytes of the archive file; None for a folder."""

    def entries(self) -> Iterator[Entry]:
        """All entries. Raises CorruptArchive, EncryptedArchive."""

    def contents(self) -> Iterator[tuple[Entry, Opener]]:
        """The files among them once more, to be opened in this order. Call ``entries()`` first."""

    def close(self) -> None:
        """Give back what is open."""


_READ_ERRORS = (
    struct.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError,
    OSError, ValueError, OverflowError, NotImplementedError, RuntimeError,
    IndexError, RecursionError,
)  # fmt: skip
# The disk or the network failed, not the archive.
_MEDIUM = {errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ENXIO, errno.ETIMEDOUT}


@contextmanager
def corruption() -> Iterator[None]:
    """Turn whatever an archive reader throws at damaged input into CorruptArchive."""
    try:
        yield
    except (CorruptArchive, EncryptedArchive, TooManyEntries):
        raise
    except _READ_ERRORS as error:
        if isinstance(error, OSError) and error.errno in _MEDIUM:
            raise SourceUnreadable(f"reading the submission failed: {error.strerror}") from error
        raise CorruptArchive(_reason(error)) from error


def _reason(error: Exception) -> str:
    """What the reader says, in words that mean something to who sent it; no Python type."""
    if isinstance(error, RecursionError):
        return "its headers describe one another without end"
    return str(error) or f"it cannot be read ({type(error).__name__})"


class FolderSource:
    """A bag as a plain folder."""

    form = "folder"
    packed_size: int | None = None

    def __init__(self, root: Path) -> None:
        self._root = root

    def entries(self) -> Iterator[Entry]:
        yield from (entry for entry, _ in self._walk())

    def contents(self) -> Iterator[tuple[Entry, Opener]]:
        for entry, place in self._walk():
            if entry.kind is EntryKind.FILE:
                yield entry, partial(_open_file, place, entry.size)

    def _walk(self) -> Iterator[tuple[Entry, str]]:
        waiting = [(str(self._root), "")]  # no recursion: hostile folders are deep
        while waiting:
            folder, prefix = waiting.pop()
            with os.scandir(folder) as found:  # not sorted: a folder may hold a million files
                for child in found:
                    entry = self._entry(child, prefix)
                    if entry.kind is EntryKind.FOLDER:
                        waiting.append((child.path, entry.path + "/"))
                    yield entry, child.path

    @staticmethod
    def _entry(child: os.DirEntry[str], prefix: str) -> Entry:
        name, guessed, raw = _folder_name(child.name)
        status = child.stat(follow_symlinks=False)
        kind, target = EntryKind.DEVICE, ""
        if stat.S_ISREG(status.st_mode):
            kind = EntryKind.FILE
        elif stat.S_ISDIR(status.st_mode):
            kind = EntryKind.FOLDER
        elif stat.S_ISLNK(status.st_mode):
            kind, target = EntryKind.LINK, os.readlink(child.path)  # noqa: PTH115
        size, modified = status.st_size, int(status.st_mtime)
        return Entry(prefix + name, kind, size, size, modified, target, guessed=guessed, raw=raw)

    def close(self) -> None:
        pass


def _open_file(place: str, size: int) -> BinaryIO:
    # O_NOFOLLOW, O_NONBLOCK: nobody swaps the file for a link or a pipe after it was listed.
    descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if size > _READ_AHEAD_FROM:
        with suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    return open(descriptor, "rb", buffering=0)


class ZipSource:
    """A bag in a zip archive."""

    form = "zip"

    def __init__(self, path: Path, limits: ReadingLimits) -> None:
        self._path = path
        self._decoded: dict[int, tuple[bytes, DecodedName]] | None = None
        self.packed_size: int | None = path.stat().st_size
        refuse_large_directory(path, limits)
        try:
            with corruption():
                self._zip = zipfile.ZipFile(path)
        except CorruptArchive:
            if _first_header_encrypted(path):
                raise EncryptedArchive("its directory is encrypted") from None
            raise
        refuse_overlaps(self._zip.infolist())

    def entries(self) -> Iterator[Entry]:
        yield from (entry for entry, _ in self._walk())

    def contents(self) -> Iterator[tuple[Entry, Opener]]:
        for entry, info in self._walk():
            if entry.kind is EntryKind.FILE:
                yield entry, partial(self._open, info)

    def _walk(self) -> Iterator[tuple[Entry, zipfile.ZipInfo]]:
        infos = self._zip.infolist()
        if self._decoded is None:
            self._decoded = self._decode(infos)
        for number, info in enumerate(infos):
            raw, name = self._decoded.get(number, (b"", None))
            if name is None:
                yield self._entry(info, self._certain(info) or info.orig_filename, None, ""), info
            else:
                shown = raw.hex(" ") if name.guessed else ""
                yield self._entry(info, name.text, name.guessed, shown), info

    @classmethod
    def _certain(cls, info: zipfile.ZipInfo) -> str | None:
        """The name where the archive says what it is: the UTF-8 flag, or the 0x7075 field."""
        if info.flag_bits & 0x800:
            return info.orig_filename
        return unicode_path(_raw_name(info), info.extra) if info.extra else None

    def _decode(self, infos: list[zipfile.ZipInfo]) -> dict[int, tuple[bytes, DecodedName]]:
        """The names the directory leaves open, and not plain ASCII, by number.

        Some programs say what a name is in the header before the file alone, so that is looked at too;
        the rest is guessed.
        """
        decoded: dict[int, tuple[bytes, DecodedName]] = {}
        open_names: list[tuple[int, bytes]] = []
        with self._path.open("rb") as archive:
            for number, info in enumerate(infos):
                if info.orig_filename.isascii() or self._certain(info) is not None:
                    continue
                raw = _raw_name(info)
                found = _name_in_local_header(archive, info, raw) or without_unicode_path(raw, info.extra)
                if found is not None:
                    decoded[number] = (raw, found)
                else:
                    open_names.append((number, raw))
        if open_names:
            hints = (name for info in infos if (name := self._certain(info)))
            names = decode_names((raw for _, raw in open_names), hints=hints)
            decoded |= {n: (raw, name) for (n, raw), name in zip(open_names, names, strict=True)}
        return decoded

    @staticmethod
    def _entry(info: zipfile.ZipInfo, path: str, guessed: str | None, raw: str) -> Entry:
        mode = info.external_attr >> 16
        kind = EntryKind.FILE
        # Made on MS-DOS or Windows: there a backslash is no letter of a name (APPNOTE 4.4.2.2, 4.4.17.1).
        backslashes = info.create_system in _OF_MS_DOS and "\\" in path
        if backslashes:
            path = path.replace("\\", "/")
        if path.endswith("/") and info.file_size == 0:
            kind = EntryKind.FOLDER
        elif stat.S_ISLNK(mode):
            kind = EntryKind.LINK
        elif mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
            kind = EntryKind.DEVICE
        try:
            modified = int(datetime(*info.date_time, tzinfo=UTC).timestamp())
        except ValueError:
            modified = 0
        return Entry(
            path.rstrip("/"), kind, info.file_size, info.compress_size, modified,
            encrypted=bool(info.flag_bits & 0x41), guessed=guessed, raw=raw, backslashes=backslashes,
        )  # fmt: skip

    def _open(self, info: zipfile.ZipInfo) -> BinaryIO:
        with corruption():
            return cast(BinaryIO, self._zip.open(info))

    def close(self) -> None:
        self._zip.close()


def refuse_overlaps(infos: Iterable[zipfile.ZipInfo]) -> None:
    """Raises CorruptArchive when two entries share bytes: so a few kilobytes become terabytes
    (CVE-2024-0450; Python's own reader looks for it only from 3.11.8 and 3.12.2 on)."""
    end, before = 0, ""
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise CorruptArchive(f"“{printable(before)}” and “{printable(info.filename)}” share bytes")
        least = _LOCAL_HEADER_BYTES + len(_raw_name(info)) + info.compress_size
        end, before = info.header_offset + least, info.filename


def refuse_large_directory(path: Path, limits: ReadingLimits) -> None:
    """The end of a zip says how large its directory is; more than we can hold is not even opened.

    APPNOTE 4.3.14–4.3.16. Raises TooManyEntries. An end that lies is the reader's finding.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _ZIP_END_BYTES))
        tail = stream.read(_ZIP_END_BYTES)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) < at + 22:
            return
        entries, directory = struct.unpack("<HL", tail[at + 10 : at + 16])
        if tail[at - 20 : at - 16] == b"PK\6\7":
            stream.seek(min(struct.unpack("<Q", tail[at - 12 : at - 4])[0], size))
            record = stream.read(56)
            if record[:4] == b"PK\6\6" and len(record) == 56:
                entries, directory = struct.unpack("<QQ", record[32:48])
    directory = min(directory, size)
    if not entries or directory // entries > _MAX_PLAUSIBLE_ENTRY_BYTES:  # it does not say how many
        entries = directory // _MIN_ZIP_ENTRY_BYTES
    held = directory + entries * _ZIP_ENTRY_BYTES
    if entries > limits.max_files or held > limits.max_memory * _MAX_ZIP_DIRECTORY_SHARE:
        raise TooManyEntries(entries, held)


_MIN_ZIP_ENTRY_BYTES, _MAX_PLAUSIBLE_ENTRY_BYTES = 46, 1024
_ZIP_END_BYTES = (1 << 16) + 22 + 20  # the longest comment, the end and the locator before it


def _name_in_local_header(archive: BinaryIO, info: zipfile.ZipInfo, raw: bytes) -> DecodedName | None:
    """The name where the header before a file says what it is (APPNOTE 4.3.7); None where it does not.

    A header that is not there or has another name is the finding of whoever reads the file.
    """
    archive.seek(info.header_offset)
    header = archive.read(_LOCAL_HEADER_BYTES)
    if len(header) < _LOCAL_HEADER_BYTES or header[:4] != b"PK\3\4":
        return None
    flags, name_bytes, extra_bytes = *struct.unpack("<H", header[6:8]), *struct.unpack("<HH", header[26:30])
    name, extra = archive.read(name_bytes), archive.read(extra_bytes)
    if name != raw:
        return None
    if flags & 0x800:
        with suppress(UnicodeDecodeError):
            return DecodedName(name.decode("utf-8"), None)
    found = unicode_path(name, extra)
    return None if found is None else DecodedName(found, None)


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("cp437", "replace")


class _Unread:
    """A stream of which something was read that the next reader is to get once more."""

    def __init__(self, stream: BinaryIO, body: bytes) -> None:
        self._stream = stream
        self._body: bytes | None = body

    def read(self, size: int = -1) -> bytes:
        """What was read before, in one piece; then what follows."""
        body, self._body = self._body, None
        return self._stream.read(size) if body is None else body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _MeasuredTarInfo(tarfile.TarInfo):
    """A header looked at before tarfile acts on it. Python's own reader goes round in circles at a
    negative size (CVE-2025-8194) and reads a header of any size into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """See tarfile. Raises CorruptArchive."""
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0:
            raise CorruptArchive(f"a header says that its file has {member.size} bytes")
        if member.type in _TAR_EXTENSIONS and member.size > _MAX_TAR_EXTENSION_BYTES:
            limit = f"more than {_MAX_TAR_EXTENSION_BYTES >> 10} KiB"
            raise CorruptArchive(f"a header describes the next file in {member.size} bytes, {limit}")
        return member

    def _proc_pax(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """tarfile's own name. Its expressions take a time as the square of the digits in a row."""
        stream = cast(Any, archive.fileobj)
        body = stream.read(self._block(self.size))  # type: ignore[attr-defined]
        if any(len(digits) > _MAX_DIGITS for digits in _DIGITS.findall(body)):
            raise CorruptArchive(f"a header with a number of more than {_MAX_DIGITS:,} digits")
        archive.fileobj = cast(Any, _Unread(stream, body))
        try:
            return cast(tarfile.TarInfo, cast(Any, super())._proc_pax(archive))
        finally:
            archive.fileobj = stream

    def _proc_gnusparse_10(
        self, member: tarfile.TarInfo, pax_headers: Mapping[str, str], archive: tarfile.TarFile
    ) -> None:
        """tarfile's own name. The map of a sparse file says how many pieces it has before it lists them."""
        stream = cast(Any, archive.fileobj)
        position = stream.tell()
        number = stream.read(512).partition(b"\n")[0]
        if not number.isdigit() or len(number) > 20 or int(number) > _MAX_SPARSE_PIECES:
            raise CorruptArchive(f"a sparse file of more than {_MAX_SPARSE_PIECES:,} pieces")
        stream.seek(position)
        cast(Any, super())._proc_gnusparse_10(member, pax_headers, archive)


class TarSource:
    """A bag in a tar or tar.gz archive. Listed in one pass, read in a second."""

    form = "tar"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.packed_size: int | None = path.stat().st_size
        self._names: dict[bytes, DecodedName] = {}
        with corruption():
            self._tar = self._opened()

    def _opened(self) -> tarfile.TarFile:
        # surrogateescape keeps undecodable names readable byte for byte
        return tarfile.open(self._path, "r:*", errors="surrogateescape", tarinfo=_MeasuredTarInfo)

    def entries(self) -> Iterator[Entry]:
        odd: list[Entry] = []  # not tarfile's records, each of which has some 2 KB
        hints: list[str] = []
        for member in self._members():
            if member.name.isascii():
                yield self._entry(member)
            elif _is_utf8(member.name):
                if len(hints) < _HINTS:
                    hints.append(member.name)
                yield self._entry(member)
            else:
                odd.append(self._as_written(member))
        raw = [_raw_name_of(entry.path) for entry in odd]
        self._names = dict(zip(raw, decode_names(raw, hints=hints), strict=True))
        yield from (self._named(entry) for entry in odd)
        self._tar.close()
        with corruption():
            self._tar = self._opened()

    def contents(self) -> Iterator[tuple[Entry, Opener]]:
        for member in self._members():
            entry = self._entry(member)
            if entry.kind is EntryKind.FILE:
                yield entry, partial(self._open, member)

    def _members(self) -> Iterator[tarfile.TarInfo]:
        while True:
            with corruption():
                member = self._tar.next()
            if member is None:
                break
            if member.size < 0:  # a pax header may say so too
                raise CorruptArchive(f"a header says that its file has {member.size} bytes")
            yield member
            cast(Any, self._tar).members = []  # tarfile would keep every member it has ever seen
        with corruption():
            self._check_tail()

    def _check_tail(self) -> None:
        """tarfile stops silently at a damaged header; the rest must be empty blocks."""
        position = self._tar.offset
        stream = cast(Any, self._tar.fileobj)
        stream.seek(position)
        if position and stream.read(512).strip(b"\0"):
            raise CorruptArchive(f"unreadable header at byte {position}")

    def _entry(self, member: tarfile.TarInfo) -> Entry:
        return self._named(self._as_written(member))

    @staticmethod
    def _as_written(member: tarfile.TarInfo) -> Entry:
        kind = EntryKind.FILE
        if member.isdir():
            kind = EntryKind.FOLDER
        elif member.issym() or member.islnk():
            kind = EntryKind.LINK
        elif not member.isfile():
            kind = EntryKind.DEVICE
        modified = int(member.mtime) if abs(member.mtime) < 1 << 40 else 0
        return Entry(member.name, kind, member.size, member.size, modified, member.linkname)

    def _named(self, entry: Entry) -> Entry:
        """With its name decoded, where that is no UTF-8."""
        if entry.path.isascii() or _is_utf8(entry.path):
            return entry
        raw = _raw_name_of(entry.path)
        name = self._names[raw]
        return replace(entry, path=name.text, guessed=name.guessed, raw=raw.hex(" "))

    def _open(self, member: tarfile.TarInfo) -> BinaryIO:
        with corruption():
            stream = self._tar.extractfile(member)
        if stream is None:
            raise CorruptArchive(f"no content for {member.name}")
        return cast(BinaryIO, stream)

    def close(self) -> None:
        self._tar.close()


def _raw_name_of(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _folder_name(name: str) -> tuple[str, str | None, str]:
    """A name on disk as text; one that is not UTF-8 is guessed like an archive's."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "surrogateescape")
        (decoded,) = decode_names([raw])
        return decoded.text, decoded.guessed, raw.hex(" ")
    return name, None, ""


def _is_utf8(name: str) -> bool:
    """Whether a name read with surrogateescape held no undecodable byte."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _first_header_encrypted(path: Path) -> bool:
    with path.open("rb") as stream:
        header = stream.read(8)
    return header[:4] == b"PK\3\4" and bool(header[6:7] and header[6] & 0x41)


def open_source(path: Path, limits: ReadingLimits) -> Source | None:
    """The source for a path; None when its form is not one we take.

    Raises SourceUnreadable when there is nothing to read, CorruptArchive, EncryptedArchive,
    TooManyEntries.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return FolderSource(path)
        if not stat.S_ISREG(mode):
            raise SourceUnreadable(f"{path} is neither a file nor a folder")
        with path.open("rb") as stream:
            head = stream.read(512)
    except FileNotFoundError:
        raise SourceUnreadable(f"there is no file or folder {path}") from None
    except PermissionError:
        raise SourceUnreadable(f"no permission to read {path}") from None
    except OSError as error:
        raise SourceUnreadable(f"cannot read {path}: {error.strerror}") from error
    name = path.name.lower()
    if head[:4] in (b"PK\3\4", b"PK\5\6") or name.endswith(".zip"):
        return ZipSource(path, limits)
    if head[257:262] == b"ustar" or name.endswith((".tar", ".tgz", ".tar.gz")):
        return TarSource(path)
    if head[:2] == b"\x1f\x8b":
        try:
            return TarSource(path)
        except CorruptArchive:
            return None
    return None
