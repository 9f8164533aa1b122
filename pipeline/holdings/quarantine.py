"""Where a repair keeps what it replaces or deletes: evidence, for people to look at."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from storage.durable import fsync_folder, make_folder_durably
from storage.errors import ObjectMissing
from storage.protocol import ObjectStore

__all__ = ["Quarantine", "QuarantineFailed"]

_CHUNK_BYTES = 1 << 20


class QuarantineFailed(PipelineError):
    """The object could not be kept, so it must not be replaced or deleted."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A folder for one repair of one copy."""

    folder: Path

    def keep(self, store: ObjectStore, key: str, name: str) -> None:
        """Keep an object's bytes as ``name`` below the folder; they are durable on return.

        An object that is not there is nothing to keep. Of one that its medium no longer gives, what
        can be read is kept. Raises QuarantineFailed when bytes that can be read cannot be kept,
        StoreUnavailable when the store cannot be asked.
        """
        place = self.folder / name
        try:
            make_folder_durably(place.parent)
            read = _copy(store, key, place)
        except OSError as error:
            raise QuarantineFailed(f"{key} cannot be kept in {self.folder}: {error.strerror}") from error
        if read is not None and place.stat().st_size != read:
            raise QuarantineFailed(f"{key} cannot be kept in {self.folder}: {place.name} is incomplete")

    @property
    def used(self) -> bool:
        """Whether anything was kept."""
        return self.folder.is_dir() and any(self.folder.iterdir())


def _copy(store: ObjectStore, key: str, place: Path) -> int | None:
    """Copy an object; its bytes, None when there was none. Raises OSError from writing only."""
    part = place.with_name(f"{place.name[:200]}.part")
    size = 0
    try:
        with store.open(key) as stream, part.open("wb") as sink:
            while chunk := _read(stream):
                sink.write(chunk)
                size += len(chunk)
            sink.flush()
            os.fsync(sink.fileno())
    except ObjectMissing:
        return None
    except OSError:
        part.unlink(missing_ok=True)  # half of it is no evidence; the object itself stays where it is
        raise
    part.replace(place)
    fsync_folder(place.parent)
    return size


def _read(stream: object) -> bytes:
    """The next bytes; none where the medium fails: what cannot be read cannot be kept."""
    try:
        return bytes(stream.read(_CHUNK_BYTES))  # type: ignore[attr-defined]
    except OSError:
        return b""
