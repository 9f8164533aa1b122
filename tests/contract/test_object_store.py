"""The contract every object store keeps: memory, files, and S3 on a real server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from packages.digest import sha512_hex
from storage.errors import ObjectExists, ObjectMissing, WriteMismatch
from storage.files.store import FileStore
from storage.memory import MemoryStore
from storage.protocol import ObjectStore, Upload, read_all
from storage.s3.probe.run import probe
from storage.s3.store import S3Settings, S3Store

Make = Callable[[], ObjectStore]


@pytest.fixture(params=["memory", "files", "s3", "s3-probed"])
def store(request: Any, tmp_path: Path) -> Iterator[ObjectStore]:
    """Each back-end in turn; a new one is one branch here."""
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "files":
        (tmp_path / "store").mkdir()
        yield FileStore(tmp_path / "store")
    else:
        endpoint = request.getfixturevalue("ministack")
        bucket = f"b{hashlib.sha1(str(tmp_path).encode()).hexdigest()[:20]}"
        settings = S3Settings(
            bucket=bucket, prefix="archive", endpoint_url=endpoint, access_key="AK", secret_key="SK",
            part_size=5 << 20, connections=4,
        )  # fmt: skip
        found = partial(probe, settings, datetime.now(UTC)) if request.param == "s3-probed" else None
        made = S3Store(settings, found=found)
        made._client.create_bucket(Bucket=bucket)
        yield made
        made._client.close()


def _upload(key: str, content: bytes) -> Upload:
    return Upload(key, len(content), sha512_hex(content), content=content)


def test_what_is_put_can_be_read(store: ObjectStore) -> None:
    """Bytes, size and presence are right after put returns."""
    store.put([_upload("a/b/c.txt", b"hello"), _upload("a/empty", b"")])
    assert read_all(store, "a/b/c.txt") == b"hello"
    assert store.size("a/b/c.txt") == 5
    assert store.size("a/empty") == 0
    assert store.size("a/b") is None


def test_put_from_a_file(store: ObjectStore, tmp_path: Path) -> None:
    """A file larger than one part arrives whole, and a private one may be taken."""
    content = os.urandom(6 << 20)
    for name, ours in (("taken", True), ("copied", False)):
        source = tmp_path / name
        source.write_bytes(content)
        upload = Upload(name, len(content), sha512_hex(content), path=source, ours=ours)
        seen: list[int] = []
        store.put([upload], seen.append)
        assert sum(seen) == len(content)
        assert read_all(store, name) == content
        assert source.read_bytes() == content


def test_nothing_is_overwritten_by_put(store: ObjectStore) -> None:
    """A second put of a key is refused and the first bytes stay."""
    store.put([_upload("key", b"first")])
    with pytest.raises(ObjectExists):
        store.put([_upload("key", b"second")])
    assert read_all(store, "key") == b"first"


def test_wrong_bytes_are_refused(store: ObjectStore) -> None:
    """An upload that is not what its digest says ends in WriteMismatch."""
    wrong = Upload("key", 5, sha512_hex(b"other"), content=b"bytes")
    with pytest.raises(WriteMismatch):
        store.put([wrong])


def test_a_file_that_changed_is_refused(store: ObjectStore, tmp_path: Path) -> None:
    """The same for a file that is not ours to trust; no object remains visible for files."""
    source = tmp_path / "changing"
    source.write_bytes(b"now this")
    with pytest.raises(WriteMismatch):
        store.put([Upload("key", 8, sha512_hex(b"was that"), path=source)])


def test_replace_overwrites(store: ObjectStore) -> None:
    """The one write that may: the old bytes are gone, the new ones whole."""
    store.replace(Upload.of("inventory.json", b"one"))
    store.replace(Upload.of("inventory.json", b"two!"))
    assert read_all(store, "inventory.json") == b"two!"


def test_missing_objects(store: ObjectStore) -> None:
    """Reading raises, size answers None, deleting is harmless."""
    with pytest.raises(ObjectMissing), store.open("nothing"):
        pass
    assert store.size("nothing") is None
    store.delete("nothing")


def test_list_is_ordered_and_exact(store: ObjectStore) -> None:
    """All keys of a prefix in code-point order, past one page, nothing of other prefixes."""
    keys = sorted(f"p/{n % 7}/{n}" for n in range(1105))
    store.put(_upload(key, b"x") for key in [*keys, "p2", "q/1"])
    assert list(store.list("p/")) == keys
    assert list(store.list("nowhere/")) == []


def test_delete(store: ObjectStore) -> None:
    """A deleted object is gone; its neighbours stay."""
    store.put([_upload("a/1", b"x"), _upload("a/2", b"y")])
    store.delete("a/1")
    assert list(store.list("a/")) == ["a/2"]


@pytest.mark.parametrize("key", ["a b", "urn%3auuid%3a1", "数据", "é", "a+b&c", "x" * 200])
def test_odd_keys(store: ObjectStore, key: str) -> None:
    """Keys come back as they were given."""
    store.put([_upload(f"odd/{key}", key.encode())])
    assert read_all(store, f"odd/{key}") == key.encode()
    assert list(store.list("odd/")) == [f"odd/{key}"]


@pytest.mark.parametrize("key", ["", "/a", "a//b", "a/../b", "./a", "a/"])
def test_keys_that_are_none(store: ObjectStore, key: str) -> None:
    """Anything that could lead elsewhere is a programmer's error, in every back-end alike."""
    with pytest.raises(ValueError):
        store.put([_upload(key, b"x")])


def test_an_iterator_that_breaks(store: ObjectStore) -> None:
    """An error while uploads are produced reaches the caller, and nothing hangs."""

    def uploads() -> Iterator[Upload]:
        yield _upload("before", b"x")
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="broke"):
        store.put(uploads())
