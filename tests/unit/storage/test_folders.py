"""What a store in a folder shows beside its keys."""

from pathlib import Path

from storage.files import FileStore
from storage.memory import MemoryStore
from storage.protocol import FolderOddities, ListsFolders


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
    assert store.oddities("a/") == FolderOddities(frozenset({"a/empty"}), frozenset({"a/link"}))
    assert store.oddities("").empty == {"a/empty", "b"}


def test_folders_deeper_than_python_calls(tmp_path: Path) -> None:
    """A thousand folders in each other are listed like any others."""
    deep = tmp_path
    for _ in range(1100):
        deep = deep / "d"
        deep.mkdir()
    try:
        (deep / "f").write_bytes(b"x")
        (key,) = FileStore(tmp_path).list("")
        assert key.count("/") == 1100
    finally:
        (deep / "f").unlink()
        while deep != tmp_path:  # pytest's own clean-up cannot
            deep.rmdir()
            deep = deep.parent
