"""What every object store promises. It knows keys, bytes and digests; it has not heard of packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal, Protocol, runtime_checkable

from packages.digest import sha512_hex

LockMode = Literal["GOVERNANCE", "COMPLIANCE"]
"""GOVERNANCE can be lifted by those with a special permission, COMPLIANCE by nobody."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The lock an object is under."""

    until: datetime | None
    mode: LockMode | None
    legal_hold: bool


@dataclass(frozen=True, slots=True)
class Protection:
    """What the archive's own rules have against a removal: a day to be kept until, a hold."""

    until: datetime | None = None
    held: bool = False


UNPROTECTED = Protection()


@dataclass(frozen=True, slots=True)
class Upload:
    """One object to be written.

    The bytes are in ``path`` or in ``content``; ``sha512`` (hexadecimal) and ``size`` (bytes) are
    what they must be. ``ours`` says that ``path`` is a private working copy, hashed as it was
    written and unreachable for anyone else, so a store may take the file itself.

    ``retain_until`` (with its ``lock_mode``) and ``legal_hold`` ask for a lock on the object, which
    is proved like its bytes. A store that is no SupportsRetention ignores them.
    """

    key: str
    size: int
    sha512: str
    path: Path | None = None
    content: bytes | None = None
    ours: bool = False
    retain_until: datetime | None = None
    lock_mode: LockMode | None = None
    legal_hold: bool = False

    def __post_init__(self) -> None:
        if (self.retain_until is None) != (self.lock_mode is None):
            raise ValueError("retain_until and lock_mode go together")
        if self.retain_until is not None and self.retain_until.tzinfo is None:
            raise ValueError("retain_until needs a time zone")

    @classmethod
    def of(cls, key: str, content: bytes) -> Upload:
        """An object whose bytes are in memory."""
        return cls(key, len(content), sha512_hex(content), content=content)


Progress = Callable[[int], None]
"""Called with the number of bytes that have just been stored."""


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """An object in a listing: ``size`` in bytes, ``modified`` in UTC by the store's clock."""

    key: str
    size: int
    modified: datetime


class ObjectStore(Protocol):
    """Keys are ``/``-separated, without empty, ``.`` or ``..`` segments.

    Every method raises StoreUnavailable (or StoreRefused) when the store cannot be used.
    """

    @property
    def name(self) -> str:
        """The name operators know this store by."""

    @property
    def connections(self) -> int:
        """How many objects may usefully be read or written at once."""

    def put(self, uploads: Iterable[Upload], progress: Progress | None = None) -> None:
        """Write objects, create-only, and prove that each arrived.

        Several may be in flight at once; on an error some may have been written.
        Raises ObjectExists where the store can tell, WriteMismatch if other bytes arrived.
        """

    def replace(self, upload: Upload) -> None:
        """Write one object over whatever is there: readers see the old or the new, never a mix.

        It is durable on return, and so is everything that was put before: this call is the commit.
        """

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """A stream of the object's bytes. Raises ObjectMissing."""

    def size(self, key: str) -> int | None:
        """The object's size in bytes, None if there is none."""

    def list(self, prefix: str) -> Iterator[str]:
        """All keys that start with ``prefix``, in code-point order. Never used while ingesting."""

    def entries(self, prefix: str) -> Iterator[ObjectEntry]:
        """As ``list``, with what a sweep needs to know of each object."""

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is fine (retries must be harmless)."""

    def sync(self) -> None:
        """Make everything durable that was written or removed before."""


@dataclass(frozen=True, slots=True)
class IrregularEntries:
    """What keys do not show: folders without anything in them, and names that are no plain files.

    ``links`` are symbolic links (to files or folders), pipes, sockets and devices.
    """

    empty: frozenset[str]
    links: frozenset[str]


@runtime_checkable
class ListsFolders(Protocol):
    """An ability of stores with real folders; ask with ``isinstance(store, ListsFolders)``."""

    def oddities(self, prefix: str) -> IrregularEntries:
        """All of them below the folder ``prefix`` (it ends with ``/`` or is empty), by key."""

    def empty_folders(self, depth: int) -> Iterator[ObjectEntry]:
        """Folders below which there is no object, the topmost of each, in the order of their keys.

        Looked for in the first ``depth`` levels; what lies deeper is only asked whether it has objects.
        """

    def remove_empty_folders(self, prefix: str) -> None:
        """Remove folders without anything in them at and below ``prefix`` (it ends with ``/``): a writer
        that was killed may have made them and nothing more."""


@runtime_checkable
class Purges(Protocol):
    """A store that keeps earlier versions of objects can also be told to give them up."""

    def purge(self, key: str) -> None:
        """Remove an object and every version of it. Raises StoreRefused when it is locked."""


@runtime_checkable
class SupportsRetention(Protocol):
    """A store that can keep objects from being deleted or changed."""

    def retention(self, key: str) -> Retention | None:
        """The lock an object is under, None if it is under none. Raises ObjectMissing."""


@runtime_checkable
class SupportsLegalHold(Protocol):
    """A store that can refuse the removal of an object until it is told otherwise."""

    @property
    def keeps_legal_holds(self) -> bool:
        """Whether this very bucket was seen to keep them."""

    def set_legal_hold(self, key: str, *, held: bool) -> None:
        """Place or lift a hold, and see that it is so. Raises ObjectMissing, StoreRefused."""


@runtime_checkable
class TracksIncompleteUploads(Protocol):
    """A store in which killed writers leave what no listing of objects shows, but what is paid for."""

    def leftovers(self, older_than: datetime) -> Iterator[ObjectEntry]:
        """Unfinished uploads (of size 0) and a dead probe's scratch, untouched since ``older_than``."""

    def remove_leftover(self, entry: ObjectEntry) -> None:
        """Remove what ``leftovers`` told of; fine when it is gone already."""


def check_key(key: str) -> str:
    """The key itself. Raises ValueError for one that could lead elsewhere."""
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise ValueError(f"not a key: {key!r}")
    return key


def read_all(store: ObjectStore, key: str, *, limit: int = 2 << 30) -> bytes:
    """The whole of a metadata object. Raises ObjectMissing; ValueError above ``limit`` bytes."""
    with store.open(key) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{key} is larger than {limit} bytes")
    return content
