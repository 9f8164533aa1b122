"""The forms a submission comes in. Each lists its entries first, then gives their bytes in order."""

from __future__ import annotations

import errno
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from pipeline.errors import SubmissionUnreadable
from pipeline.receive.name_encoding import decode_names, unicode_path


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
    name with ``raw`` showing its bytes, ``handle`` what the source needs to open it.
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
    handle: Any = None


class CorruptArchive(Exception):
    """The archive cannot be read; the message says why. A finding about the content, not a fault."""


class EncryptedArchive(Exception):
    """The archive cannot be listed without a password."""


class Source(Protocol):
    """A submission that can be listed and read."""

    form: str
    packed_size: int | None
    """Bytes of the archive file; None for a folder."""

    def entries(self) -> Iterator[Entry]:
        """All entries, in stored order. Raises CorruptArchive, EncryptedArchive."""

    def open(self, entry: Entry) -> BinaryIO:
        """The bytes of a file entry; ask in the order of ``entries()``. Raises CorruptArchive."""

    def close(self) -> None:
        """Give back what is open."""


_READ_ERRORS = (
    struct.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError,
    OSError, ValueError, MemoryError, OverflowError, NotImplementedError, RuntimeError,
    IndexError, RecursionError,
)  # fmt: skip
# The disk or the network failed, not the archive.
_MEDIUM = {errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ENXIO, errno.ETIMEDOUT}


@contextmanager
def corruption() -> Iterator[None]:
    """Turn whatever an archive reader throws at damaged input into CorruptArchive."""
    try:
        yield
    except (CorruptArchive, EncryptedArchive):
        raise
    except _READ_ERRORS as error:
        if isinstance(error, OSError) and error.errno in _MEDIUM:
            raise SubmissionUnreadable(f"reading the submission failed: {error.strerror}") from error
        raise CorruptArchive(f"{type(error).__name__}: {error}".strip(": ")) from error


class FolderSource:
    """A bag as a plain folder."""

    form = "folder"
    packed_size: int | None = None

    def __init__(self, root: Path) -> None:
        self._root = root

    def entries(self) -> Iterator[Entry]:
        waiting = [(str(self._root), "")]  # no recursion: hostile folders are deep
        while waiting:
            deeper: list[tuple[str, str]] = []
            for entry in self._scan(*waiting.pop()):
                if entry.kind is EntryKind.FOLDER:
                    deeper.append((entry.handle, entry.path + "/"))
                yield entry
            waiting += reversed(deeper)

    @staticmethod
    def _scan(folder: str, prefix: str) -> Iterator[Entry]:
        with os.scandir(folder) as found:
            children = sorted(found, key=lambda child: child.name)
        for child in children:
            name, guessed, raw = _folder_name(child.name)
            path = prefix + name
            status = child.stat(follow_symlinks=False)
            entry = Entry(
                path, EntryKind.FILE, status.st_size, status.st_size, int(status.st_mtime),
                guessed=guessed, raw=raw, handle=child.path,
            )  # fmt: skip
            if stat.S_ISLNK(status.st_mode):
                yield replace(entry, kind=EntryKind.LINK, target=os.readlink(child.path))  # noqa: PTH115
            elif stat.S_ISDIR(status.st_mode):
                yield replace(entry, kind=EntryKind.FOLDER)
            elif stat.S_ISREG(status.st_mode):
                yield entry
            else:
                yield replace(entry, kind=EntryKind.DEVICE)

    def open(self, entry: Entry) -> BinaryIO:
        # O_NOFOLLOW: nobody swaps the file for a link between listing and reading.
        return open(os.open(entry.handle, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0)

    def close(self) -> None:
        pass


class ZipSource:
    """A bag in a zip archive."""

    form = "zip"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.packed_size: int | None = path.stat().st_size
        try:
            with corruption():
                self._zip = zipfile.ZipFile(path)
        except CorruptArchive:
            if _first_header_encrypted(path):
                raise EncryptedArchive("its directory is encrypted") from None
            raise

    def entries(self) -> Iterator[Entry]:
        infos = self._zip.infolist()
        certain: dict[int, str] = {}
        unmarked: list[tuple[int, bytes]] = []
        for number, info in enumerate(infos):
            if info.flag_bits & 0x800:
                certain[number] = info.orig_filename
                continue
            raw = info.orig_filename.encode("cp437", "replace")
            named = unicode_path(raw, info.extra)
            if named is not None:
                certain[number] = named
            else:
                unmarked.append((number, raw))
        guesses = decode_names((raw for _, raw in unmarked), hints=certain.values())
        guessed = {n: (raw, name) for (n, raw), name in zip(unmarked, guesses, strict=True)}
        for number, info in enumerate(infos):
            if number in certain:
                yield self._entry(info, certain[number], None, "")
            else:
                raw, name = guessed[number]
                yield self._entry(info, name.text, name.guessed, raw.hex(" ") if name.guessed else "")

    @staticmethod
    def _entry(info: zipfile.ZipInfo, path: str, guessed: str | None, raw: str) -> Entry:
        mode = info.external_attr >> 16
        kind = EntryKind.FILE
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
            path.rstrip("/"), kind, info.file_size,
            info.compress_size, modified, encrypted=bool(info.flag_bits & 0x41), guessed=guessed,
            raw=raw, handle=info,
        )  # fmt: skip

    def open(self, entry: Entry) -> BinaryIO:
        with corruption():
            return cast(BinaryIO, self._zip.open(entry.handle))

    def close(self) -> None:
        self._zip.close()


class TarSource:
    """A bag in a tar or tar.gz archive. Listed in one pass, read in a second."""

    form = "tar"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.packed_size: int | None = path.stat().st_size
        with corruption():
            # surrogateescape keeps undecodable names readable byte for byte
            self._tar = tarfile.open(path, "r:*", errors="surrogateescape")  # noqa: SIM115
        self._members: list[tarfile.TarInfo] = []

    def entries(self) -> Iterator[Entry]:
        with corruption():
            self._members = list(self._tar)
            self._check_tail()
        raw = [m.name.encode("utf-8", "surrogateescape") for m in self._members]
        odd = [not _is_utf8(name) for name in raw]
        guesses = iter(
            decode_names(
                (name for name, o in zip(raw, odd, strict=True) if o),
                hints=(m.name for m, o in zip(self._members, odd, strict=True) if not o),
            )
        )
        for member, name, is_odd in zip(self._members, raw, odd, strict=True):
            entry = self._entry(member)
            if is_odd:
                guess = next(guesses)
                entry = replace(entry, path=guess.text, guessed=guess.guessed, raw=name.hex(" "))
            yield entry

    def _check_tail(self) -> None:
        """tarfile stops silently at a damaged header; the rest must be empty blocks."""
        position = self._tar.offset
        stream = cast(Any, self._tar.fileobj)
        stream.seek(position)
        if position and stream.read(512).strip(b"\0"):
            raise CorruptArchive(f"unreadable header at byte {position}")

    @staticmethod
    def _entry(member: tarfile.TarInfo) -> Entry:
        kind = EntryKind.FILE
        if member.isdir():
            kind = EntryKind.FOLDER
        elif member.issym() or member.islnk():
            kind = EntryKind.LINK
        elif not member.isfile():
            kind = EntryKind.DEVICE
        modified = int(member.mtime) if abs(member.mtime) < 1 << 40 else 0
        return Entry(
            member.name, kind, member.size, member.size, modified, target=member.linkname,
            handle=member,
        )  # fmt: skip

    def open(self, entry: Entry) -> BinaryIO:
        with corruption():
            stream = self._tar.extractfile(entry.handle)
        if stream is None:
            raise CorruptArchive(f"no content for {entry.path}")
        return cast(BinaryIO, stream)

    def close(self) -> None:
        self._tar.close()


def _folder_name(name: str) -> tuple[str, str | None, str]:
    """A name on disk as text; one that is not UTF-8 is guessed like an archive's."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "surrogateescape")
        (decoded,) = decode_names([raw])
        return decoded.text, decoded.guessed, raw.hex(" ")
    return name, None, ""


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _first_header_encrypted(path: Path) -> bool:
    with path.open("rb") as stream:
        header = stream.read(8)
    return header[:4] == b"PK\3\4" and bool(header[6:7] and header[6] & 0x41)


def open_source(path: Path) -> Source | None:
    """The source for a path; None when its form is not one we take.

    Raises SubmissionUnreadable when there is nothing to read, CorruptArchive, EncryptedArchive.
    """
    try:
        if path.is_dir():
            return FolderSource(path)
        with path.open("rb") as stream:
            head = stream.read(512)
    except FileNotFoundError:
        raise SubmissionUnreadable(f"there is no file or folder {path}") from None
    except PermissionError:
        raise SubmissionUnreadable(f"no permission to read {path}") from None
    except OSError as error:
        raise SubmissionUnreadable(f"cannot read {path}: {error.strerror}") from error
    name = path.name.lower()
    if head[:4] in (b"PK\3\4", b"PK\5\6") or name.endswith(".zip"):
        return ZipSource(path)
    if head[257:262] == b"ustar" or name.endswith((".tar", ".tgz", ".tar.gz")):
        return TarSource(path)
    if head[:2] == b"\x1f\x8b":
        try:
            return TarSource(path)
        except CorruptArchive:
            return None
    return None
