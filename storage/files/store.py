"""An object store in a folder. The default: no service, readable with a file manager."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import io
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from packages.digest import PREFERRED
from storage.copying import TooLong, copy_hashed
from storage.durable import fsync_folder
from storage.errors import (
    ObjectExists,
    ObjectMissing,
    StoreRefused,
    StoreUnavailable,
    WriteMismatch,
)
from storage.protocol import IrregularEntries, ObjectEntry, Progress, Upload, check_key

_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
_UPLOADS = "extensions/stele-uploads"
"""Where files are written before they get their names: never within an object, so that nothing a
killed process leaves there can make an object invalid."""
_MAX_FOLDER_ATTEMPTS = 5
_NO_LINKS = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP}


class FileStore:
    """Objects are files below ``root``, read-only once written.

    A private working file on the same file system is linked in, not copied: its digest was taken
    from the very bytes that were written to it. Anything else is copied and hashed on the way.
    An upload's retention and legal hold are ignored: a file system has no such lock.
    """

    def __init__(self, root: Path, name: str = "files") -> None:
        self._root = root.absolute()
        self._name = name
        self._uploads_swept = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def connections(self) -> int:
        return min(4, os.cpu_count() or 1)

    def put(self, uploads: Iterable[Upload], progress: Progress | None = None) -> None:
        with self._errors():
            for upload in uploads:
                self._put_one(upload)
                if progress:
                    progress(upload.size)

    def _put_one(self, upload: Upload) -> None:
        target = self._path(upload.key)
        folder = os.path.dirname(target)  # noqa: PTH120  (hot path, strings are 5x faster)
        for attempts_left in reversed(range(_MAX_FOLDER_ATTEMPTS)):
            _make_folder(folder)
            try:
                if not (upload.ours and upload.path is not None and self._link(upload.path, target)):
                    self._copy(upload, target)
                break
            except FileExistsError:
                raise ObjectExists(upload.key) from None
            except FileNotFoundError:  # another process swept the still empty folder
                if not attempts_left or Path(folder).is_dir():
                    raise

    @staticmethod
    def _link(source: Path, target: str) -> bool:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno in _NO_LINKS:
                return False
            raise
        return True

    def _copy(self, upload: Upload, target: str) -> None:
        with self._written(upload) as temporary:
            if self._link(temporary, target):
                return
            # A file system without hard links: the lease on the AIP keeps other writers away.
            if os.path.lexists(target):
                raise FileExistsError(target)
            temporary.rename(target)

    def replace(self, upload: Upload) -> None:
        with self._errors():
            target = self._path(upload.key)
            folder = os.path.dirname(target)  # noqa: PTH120
            _make_folder(folder)
            self._flush()
            with self._written(upload, durable=True) as temporary:
                temporary.replace(target)
            fsync_folder(folder)

    @contextmanager
    def _written(self, upload: Upload, *, durable: bool = False) -> Iterator[Path]:
        """The upload's bytes, proved, in a file that has not got its name yet.

        The file is locked while it is written: one that is not is a dead process's.
        """
        temporary, descriptor = self._new_upload_file()
        try:
            try:
                _write(upload, descriptor)
                if durable:
                    os.fsync(descriptor)
                yield temporary
            finally:
                os.close(descriptor)
        finally:
            temporary.unlink(missing_ok=True)
            with suppress(OSError):  # another writer's file is in it, or another writer removed it
                temporary.parent.rmdir()

    def _new_upload_file(self) -> tuple[Path, int]:
        folder = Path(self._root, _UPLOADS)
        if not self._uploads_swept:
            self._sweep_uploads(folder)
            self._uploads_swept = True
        while True:
            _make_folder(folder)
            path = folder / secrets.token_hex(8)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
            except FileNotFoundError:
                continue  # a writer that had finished has just removed the empty folder
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink:  # no sweep came between
                    return path, descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _sweep_uploads(self, folder: Path) -> None:
        """Remove what killed processes left. Once a process, before its first write."""
        for entry in _entries(str(folder)):
            try:
                descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue  # its writer is done with it
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                Path(entry.path).unlink(missing_ok=True)
            except BlockingIOError:
                continue  # somebody writes to it
            finally:
                os.close(descriptor)

    def _flush(self) -> None:
        """Make all earlier writes durable in one call instead of one fsync per object."""
        descriptor = os.open(self._root, os.O_RDONLY)
        try:
            if _SYNCFS is None:
                os.sync()
            elif _SYNCFS(descriptor) != 0:  # nothing may be committed on a promise that failed
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(self._root))
        finally:
            os.close(descriptor)

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        try:
            # O_NOFOLLOW: a link planted in the store must not lead anywhere else.
            stream = open(os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW), "rb")  # noqa: SIM115
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectMissing(key) from None
        except OSError as error:
            raise _mapped(self._name, error) from error
        with stream:
            yield stream

    def size(self, key: str) -> int | None:
        try:
            status = Path(self._path(key)).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _mapped(self._name, error) from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def list(self, prefix: str) -> Iterator[str]:
        with self._errors():
            folder = prefix.rpartition("/")[0]
            for key in _walk(self._path(folder) if folder else str(self._root), folder):
                if key.startswith(prefix):
                    yield key

    def oddities(self, prefix: str) -> IrregularEntries:
        """What lies below a folder and is no object: the ability ListsFolders."""
        empty, links = set(), set()
        with self._errors():
            folder = prefix.rpartition("/")[0]
            waiting = [self._path(folder) if folder else str(self._root)]
            skip = len(str(self._root)) + 1
            while waiting:
                current = waiting.pop()
                entries = _entries(current)
                if not entries:
                    empty.add(current[skip:])
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif not entry.is_file(follow_symlinks=False):
                        links.add(entry.path[skip:])
        return IrregularEntries(frozenset(empty), frozenset(links))

    def empty_folders(self, depth: int) -> Iterator[ObjectEntry]:
        """Part of the ability ListsFolders."""
        with self._errors():
            for folder in _empty_folders(str(self._root), depth):
                with suppress(FileNotFoundError):  # its writer or a sweep has removed it since
                    modified = datetime.fromtimestamp(Path(folder).stat().st_mtime, UTC)
                    yield ObjectEntry(folder[len(str(self._root)) + 1 :], 0, modified)

    def remove_empty_folders(self, prefix: str) -> None:
        """Part of the ability ListsFolders."""
        top = self._path(prefix.rstrip("/"))
        with self._errors():
            for folder, _, _ in os.walk(top, topdown=False):
                self._remove_if_empty(Path(folder))
            for parent in Path(top).parents:
                if parent == self._root or not self._remove_if_empty(parent):
                    break

    def _remove_if_empty(self, folder: Path) -> bool:
        try:
            folder.rmdir()
        except FileNotFoundError:  # whoever removed it was perhaps killed before he came to its parent
            return True
        except OSError:  # something is in it
            return False
        return True

    def entries(self, prefix: str) -> Iterator[ObjectEntry]:
        for key in self.list(prefix):
            try:
                status = Path(self._path(key)).stat()
            except FileNotFoundError:
                continue  # gone since it was listed
            modified = datetime.fromtimestamp(status.st_mtime, UTC)
            yield ObjectEntry(key, status.st_size, modified)

    def delete(self, key: str) -> None:
        with self._errors():
            path = Path(self._path(key))
            with suppress(FileNotFoundError):
                path.unlink()
            for parent in path.parents:  # an OCFL object may hold no empty folder
                if parent == self._root or not self._remove_if_empty(parent):
                    break

    def sync(self) -> None:
        with self._errors():
            if self._root.is_dir():
                self._flush()

    def _path(self, key: str) -> str:
        return f"{self._root}/{check_key(key)}"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _mapped(self._name, error) from error


def _mapped(store: str, error: OSError) -> StoreUnavailable:
    reason = f"{error.strerror or error} ({error.filename or 'no file named'})"
    kind = StoreRefused if error.errno in _REFUSALS else StoreUnavailable
    return kind(store, reason)


def _make_folder(folder: str | Path) -> None:
    """Make a folder and those above it, while other processes remove any of them that is empty.

    Raises OSError; NotADirectoryError when something else has a folder's name.
    """
    for attempts_left in reversed(range(_MAX_FOLDER_ATTEMPTS)):
        if Path(folder).is_dir():
            return
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except FileNotFoundError:  # the folder above it was removed
            if not attempts_left:
                raise
        except FileExistsError as error:  # it was there and is removed again, or it is not a folder
            if _is_no_folder(error.filename):
                raise NotADirectoryError(
                    errno.ENOTDIR, os.strerror(errno.ENOTDIR), error.filename
                ) from None
            if not attempts_left:
                raise


def _is_no_folder(path: str) -> bool:
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _write(upload: Upload, descriptor: int) -> None:
    """Copy the upload's bytes. Raises WriteMismatch when they are not what they must be."""
    with _stream(upload) as source:
        try:
            copied = copy_hashed(source.readinto, descriptor, (PREFERRED,), limit=upload.size)
        except TooLong:
            found = "more bytes"
            raise WriteMismatch(upload.key, expected=f"{upload.size} bytes", found=found) from None
    if copied.size != upload.size:
        found = f"{copied.size} bytes"
        raise WriteMismatch(upload.key, expected=f"{upload.size} bytes", found=found)
    if copied.digests[PREFERRED] != upload.sha512:
        raise WriteMismatch(upload.key, expected=upload.sha512, found=copied.digests[PREFERRED])


def _stream(upload: Upload) -> io.RawIOBase | io.BufferedIOBase:
    if upload.path is not None:
        return open(upload.path, "rb", buffering=0)
    assert upload.content is not None, "an Upload has a path or content"
    return io.BytesIO(upload.content)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing when it is gone, but one that cannot be read is an error."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return list(entries)
    return []


def _walk(folder: str, prefix: str) -> Iterator[str]:
    """Keys below a folder in code-point order, never more than one folder's names at a time.

    A folder sorts as its name with the slash that follows it in every key.
    """
    waiting = [(folder, prefix, True)]
    while waiting:
        place, key, is_folder = waiting.pop()
        if not is_folder:
            yield key
            continue
        children = [
            (entry.name, entry.is_dir(follow_symlinks=False))
            for entry in _entries(place)
            if not (entry.is_symlink() and Path(entry.path).is_dir())  # never out of the root
        ]
        children.sort(key=lambda child: child[0] + "/" if child[1] else child[0], reverse=True)
        below = f"{key}/" if key else ""
        waiting += [(f"{place}/{name}", below + name, is_dir) for name, is_dir in children]


def _empty_folders(folder: str, depth: int) -> Iterator[str]:
    """The topmost folders below ``folder``, at most ``depth`` levels deep, in which nothing lies."""
    for entry in sorted(_entries(folder), key=lambda entry: entry.name):
        if not entry.is_dir(follow_symlinks=False):
            continue
        if not _has_content(entry.path):
            yield entry.path
        elif depth > 1:
            yield from _empty_folders(entry.path, depth - 1)


def _has_content(folder: str) -> bool:
    """Whether anything but folders lies below; it stops at the first such thing."""
    waiting = [folder]
    while waiting:
        for entry in _entries(waiting.pop()):
            if not entry.is_dir(follow_symlinks=False):
                return True
            waiting.append(entry.path)
    return False


def _find_syncfs() -> ctypes._NamedFuncPointer | None:
    try:
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None


_SYNCFS = _find_syncfs()
