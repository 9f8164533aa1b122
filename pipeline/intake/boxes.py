"""Drop boxes: where deliveries lie, and how one of them comes to where it can be read."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

from packages.paths import printable
from pipeline.intake.deliveries import READY, Delivery, Found, find_deliveries, is_arriving, is_ignored
from storage.protocol import ObjectEntry, ObjectStore
from storage.scratch import scratch_folder

__all__ = ["BucketBox", "DeliveryUnreadable", "DropBox", "FolderBox"]

_MAX_NAME_BYTES = 255  # bytes of a name on disk
_CHUNK_BYTES = 1 << 20


class DeliveryUnreadable(Exception):
    """A delivery in a bucket cannot become files here; the message says why, for the agency."""


class DropBox(Protocol):
    """A place where agencies leave their submissions. Nothing in it is ever changed."""

    @property
    def name(self) -> str:
        """As operators know it."""

    def find(self, *, quiet: float, now: float) -> Found:
        """What lies there. Raises OSError, StoreUnavailable when it cannot be looked into."""

    def fetched(self, delivery: Delivery) -> AbstractContextManager[Path]:
        """The delivery as files, while the context lasts.

        Raises DeliveryUnreadable for what the agency must correct, OSError, StorageError.
        """


class FolderBox:
    """A folder: ``AGENCY/DELIVERY`` or ``DELIVERY``."""

    def __init__(self, folder: Path, name: str = "dropbox") -> None:
        self.name = name
        self._folder = folder

    def find(self, *, quiet: float, now: float) -> Found:
        return find_deliveries(self._folder, quiet=quiet, now=now, box=self.name)

    def fetched(self, delivery: Delivery) -> AbstractContextManager[Path]:
        return nullcontext(Path(delivery.place))


class BucketBox:
    """A bucket or a prefix in one: ``AGENCY/NAME.zip`` or a folder of keys ``AGENCY/NAME/…``.

    A delivery is fetched when it is taken, and not before it was claimed.
    """

    def __init__(self, store: ObjectStore, address: str, scratch: Path) -> None:
        self.name = store.name
        self._store = store
        self._address = address.rstrip("/")
        self._scratch = scratch

    def find(self, *, quiet: float, now: float) -> Found:
        """One listing of the whole box; memory grows with the number of keys, not with their bytes."""
        groups: dict[str, list[ObjectEntry]] = defaultdict(list)
        ready: set[str] = set()
        ignored: list[str] = []
        for entry in self._store.entries(""):
            parts = entry.key.split("/")
            if len(parts) < 2 or not all(parts[:2]) or any(is_ignored(part) for part in parts[:2]):
                if not entry.key.endswith("/") or entry.size:  # what consoles make to show an empty folder
                    ignored.append(f"{self._address}/{entry.key}")
                continue
            name = "/".join(parts[:2])
            if len(parts) == 2 and name.endswith(READY):
                ready.add(name.removesuffix(READY))
            else:
                groups[name].append(entry)
        whole: list[Delivery] = []
        arriving: list[Delivery] = []
        for name, entries in sorted(groups.items()):
            newest = max(entry.modified.timestamp() for entry in entries)
            found = self._delivery(name, entries, newest)
            still = len(entries) == 1 and is_arriving(name)
            (arriving if still or not (name in ready or now - newest >= quiet) else whole).append(found)
        return Found(whole, arriving, ignored)

    def _delivery(self, name: str, entries: list[ObjectEntry], newest: float) -> Delivery:
        hasher = hashlib.sha256(f"{self._address}/{name}".encode())
        for entry in sorted(entries, key=lambda one: one.key):
            hasher.update(f"\0{entry.key}\0{entry.size}\0{entry.modified.timestamp()}".encode())
        size = sum(entry.size for entry in entries)
        agency = name.partition("/")[0]
        place = f"{self._address}/{name}"
        return Delivery(place, agency, len(entries), size, newest, hasher.hexdigest(), self.name)

    @contextmanager
    def fetched(self, delivery: Delivery) -> Iterator[Path]:
        name = delivery.place.removeprefix(f"{self._address}/")
        with scratch_folder(self._scratch) as scratch:
            last = name.rpartition("/")[2]
            target = scratch / "delivery" / _segment(last, name)
            if self._store.size(name) is not None:  # a file; a folder may be called like an archive
                self._fetch(name, target)
            else:
                target.mkdir(parents=True)
                for entry in self._store.entries(f"{name}/"):
                    self._fetch_below(entry, f"{name}/", target)
            yield target

    def _fetch_below(self, entry: ObjectEntry, prefix: str, folder: Path) -> None:
        rest = entry.key.removeprefix(prefix)
        if not rest or (rest.endswith("/") and not entry.size):
            return  # what consoles make to show an empty folder
        target = folder.joinpath(*(_segment(part, entry.key) for part in rest.split("/")))
        try:
            self._fetch(entry.key, target)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise DeliveryUnreadable(f"“{printable(entry.key)}” is both a file and a folder") from None

    def _fetch(self, key: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._store.open(key) as source, target.open("xb") as sink:
            while piece := source.read(_CHUNK_BYTES):
                sink.write(piece)


def _segment(part: str, key: str) -> str:
    """One name below the scratch folder and never above it."""
    shown = printable(key)[:300]
    if part in ("", ".", "..") or "\\" in part or any(ord(c) < 32 for c in part):
        raise DeliveryUnreadable(f"“{shown}” cannot be the name of a file")
    if len(part.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
        raise DeliveryUnreadable(f"“{shown}” has a name longer than {_MAX_NAME_BYTES} bytes")
    return part
