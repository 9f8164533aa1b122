"""What a store in a folder shows beside its keys."""

import errno
import os
from pathlib import Path

import pytest

from storage.errors import StoreUnavailable
from storage.files import store as files
from storage.files.store import FileStore
from storage.memory import MemoryStore
from storage.protocol import IrregularEntries, ListsFolders, Upload


def test_only_stores_with_folders_have_the_ability() -> None:
    """It is asked for by protocol, not by class."""
    assert isinstance(FileStore(Path()), ListsFolders)
    assert not isinstance(MemoryStore(), ListsFolders)


def test_empty_folders_and_links(tmp_path: Path) -> None:
    """Below the prefix only, by key, and links are not entered."""
    (tmp_path / "a/empty").mkdir(parents=True)
    (tmp_path / "a/full").mkdir()
    (tmp_path / "a/full/file").write_bytes(b"")
    (tmp_path / "a/link").symlink_to(tmp_path)
    (tmp_path / "b").mkdir()
    store = FileStore(tmp_path)
    assert store.oddities("a/") == IrregularEntries(frozenset({"a/empty"}), frozenset({"a/link"}))
    assert store.oddities("").empty == {"a/empty", "b"}


def test_topmost_empty_folders(tmp_path: Path) -> None:
    """Each once, by its topmost; a folder with a file or a link somewhere below is not empty."""
    (tmp_path / "aaa/bbb/ccc/id/v1/content").mkdir(parents=True)
    (tmp_path / "ddd/eee").mkdir(parents=True)
    (tmp_path / "ddd/fff").mkdir()
    (tmp_path / "ddd/eee/file").write_bytes(b"")
    (tmp_path / "ggg").mkdir()
    (tmp_path / "ggg/link").symlink_to(tmp_path)
    store = FileStore(tmp_path)
    assert [entry.key for entry in store.empty_folders(4)] == ["aaa", "ddd/fff"]
    assert [entry.key for entry in store.empty_folders(1)] == ["aaa"]


def test_a_folder_swept_before_the_write_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may remove a folder as long as it is empty: it is made again."""
    store = FileStore(tmp_path)
    make, swept = files._make_folder, []

    def made_and_swept(folder: str | Path) -> None:
        make(folder)
        if len(swept) < 2:
            swept.append(folder)
            Path(folder).rmdir()

    monkeypatch.setattr(files, "_make_folder", made_and_swept)
    store.put([Upload.of("a/b/file", b"content")])
    assert (tmp_path / "a/b/file").read_bytes() == b"content"


def test_a_folder_removed_while_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mkdir finds it there, and by the next call another process has removed it: it is made again."""
    mkdir, removed = os.mkdir, []

    def there_and_gone(path: str | Path, mode: int = 0o777) -> None:
        if len(removed) < 2:
            removed.append(path)
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        mkdir(path, mode)

    store = FileStore(tmp_path)
    monkeypatch.setattr(os, "mkdir", there_and_gone)
    store.put([Upload.of("file", b"content")])  # the first folder made is the one for uploads
    assert len(removed) == 2
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize("taken", ["extensions", "extensions/stele-uploads", "a", "a/b"])
def test_a_file_with_the_name_of_a_folder(tmp_path: Path, taken: str) -> None:
    """It is said to be there; never that the object exists already."""
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_bytes(b"in the way")
    with pytest.raises(StoreUnavailable, match=f"Not a directory .*{taken}"):
        FileStore(tmp_path).put([Upload.of("a/b/file", b"content")])


def test_folders_deeper_than_python_calls(tmp_path: Path) -> None:
    """A thousand folders in each other are listed like any others."""
    deep = tmp_path
    for _ in range(1100):
        deep = deep / "d"
        deep.mkdir()
    try:
        (deep / "f").write_bytes(b"x")
        assert list(FileStore(tmp_path).empty_folders(4)) == []
        (key,) = FileStore(tmp_path).list("")
        assert key.count("/") == 1100
    finally:
        (deep / "f").unlink()
        while deep != tmp_path:  # pytest's own clean-up cannot
            deep.rmdir()
            deep = deep.parent
