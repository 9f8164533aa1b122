"""What was cut off, a commit after everything was stored or a removal, is finished by the next attempt."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from storage.errors import ObjectExists
from storage.files.store import FileStore
from storage.memory import MemoryStore
from storage.ocfl.inventory import VersionInfo
from storage.ocfl.object_copy import copy_object
from storage.ocfl.repository import FileToStore, OcflRepository

_ID = "urn:uuid:eb814f6f-6371-5142-975d-549b0ff40b62"
_INFO = VersionInfo("2026-11-25T00:00:00Z", "stored", "Stele", "mailto:a@b.example")
_LAST = ("0=ocfl_object_1.1", "inventory.json.sha512", "inventory.json")


def _files(folder: Path) -> list[FileToStore]:
    path = folder / "a.txt"
    path.write_bytes(b"a")
    return [FileToStore("a.txt", 1, hashlib.sha512(b"a").hexdigest(), path, ours=False)]


def _cut_off(repository: OcflRepository, folder: Path, written: int) -> dict[str, bytes]:
    """Store an object, then take its last writes away but the first ``written``; what it was."""
    repository.create(_ID, _files(folder), _INFO)
    root = repository.layout.object_root(_ID)
    whole = _objects(repository)
    for name in _LAST[written:]:
        repository.store.delete(f"{root}/{name}")
    return whole


def _objects(repository: OcflRepository) -> dict[str, bytes]:
    found = {}
    for key in repository.store.list(""):
        with repository.store.open(key) as stream:
            found[key] = stream.read()
    return found


@pytest.mark.parametrize("written", range(len(_LAST)))
def test_stored_again(written: int, tmp_path: Path) -> None:
    """By an ingest that is tried again."""
    repository = OcflRepository(MemoryStore())
    whole = _cut_off(repository, tmp_path, written)
    with pytest.raises(ObjectExists):
        repository.create(_ID, _files(tmp_path), _INFO)
    assert _objects(repository) == whole


@pytest.mark.parametrize("written", range(len(_LAST)))
def test_copied_again(written: int, tmp_path: Path) -> None:
    """By a replication that is tried again."""
    source, target = OcflRepository(MemoryStore()), OcflRepository(MemoryStore())
    source.create(_ID, _files(tmp_path), _INFO)
    whole = _cut_off(target, tmp_path, written)
    copy_object(source, target, _ID)
    assert _objects(target) == whole


def test_removed_again(tmp_path: Path) -> None:
    """A removal killed between the last file of a folder and the folder leaves no folder when it is repeated."""
    store = FileStore(tmp_path / "store", "store")
    repository = OcflRepository(store)
    repository.create(_ID, _files(tmp_path), _INFO)
    content = next((tmp_path / "store").rglob("content"))
    (content / "a.txt").unlink()
    (content / "empty").mkdir()
    repository.remove(_ID)
    assert not content.exists()
    assert not (tmp_path / "store" / repository.layout.object_root(_ID)).exists()
