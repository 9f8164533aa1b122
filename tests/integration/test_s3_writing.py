"""What S3Store does beyond the contract: proof, locks, encryption, abandoned uploads, secrecy."""

from __future__ import annotations

import io
import logging
import os
import socket
import ssl
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.response import StreamingBody
from requirements import free_port

from packages.digest import sha512_hex
from storage.errors import ObjectExists, StorageError, StoreRefused, StoreUnavailable, WriteMismatch
from storage.files.store import FileStore
from storage.memory import MemoryStore
from storage.protocol import SupportsRetention, TracksIncompleteUploads, Upload, read_all
from storage.s3.client import make_client
from storage.s3.probe.capabilities import Answer, Capabilities, Check, CheckName
from storage.s3.store import S3Settings, S3Store

_PART = 5 << 20
_CANARY = "CANARY-3f9a-this-must-never-be-seen"


def _found(settings: S3Settings, **answers: Answer) -> Capabilities:
    checks = tuple(Check(CheckName[name], answer, "Seen.") for name, answer in answers.items())
    return Capabilities(
        settings.address, settings.bucket, settings.folder, "", datetime.now(UTC), 1, checks
    )


Make = Callable[..., S3Store]


@pytest.fixture
def make(ministack: str) -> Iterator[Make]:
    """Build a store on a new bucket: ``make(lock=True, PAYLOAD=Answer.YES)``."""
    made: list[S3Store] = []

    def build(*, lock: bool = False, settings: dict[str, Any] | None = None, **answers: Answer) -> S3Store:
        chosen = S3Settings(
            bucket=f"b-{uuid.uuid4().hex[:16]}", prefix="p", endpoint_url=ministack, access_key="AK",
            secret_key="SK", part_size=_PART, connections=4, **(settings or {}),
        )  # fmt: skip
        store = S3Store(chosen, found=_found(chosen, **answers) if answers else None)
        extra: Any = {"ObjectLockEnabledForBucket": True} if lock else {}
        store._client.create_bucket(Bucket=chosen.bucket, **extra)
        made.append(store)
        return store

    yield build
    for store in made:
        store._client.close()


class _Server:
    """Answers GET of an object wrongly: the first ``times`` with what ``harm`` makes of the bytes."""

    def __init__(self, store: S3Store, harm: Callable[[bytes], bytes], times: int) -> None:
        self.readings = 0
        real = store._client.get_object

        def get_object(**arguments: Any) -> Any:
            answer = real(**arguments)
            self.readings += 1
            if self.readings <= times:
                content = answer["Body"].read()
                answer["Body"] = StreamingBody(io.BytesIO(harm(content)), len(content))
            return answer

        store._client.get_object = get_object  # type: ignore[method-assign]


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flip(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


@pytest.mark.parametrize("harm", [_cut, _flip])
def test_a_bad_reading_is_repeated(make: Make, harm: Callable[[bytes], bytes]) -> None:
    """Twice wrong on the way, then right: the object is confirmed, and it is there."""
    store = make()
    server = _Server(store, harm, 2)
    store.put([Upload.of("key", b"the records")])
    # After a wrong reading two right ones must agree; a short one says nothing about the bytes.
    assert server.readings == (4 if harm is _flip else 3)
    assert store.size("key") == 11


def test_other_bytes_are_deleted_again(make: Make) -> None:
    """Sent three times, each read four times, always other bytes: WriteMismatch, and it is gone."""
    store = make()
    server = _Server(store, _flip, 99)
    with pytest.raises(WriteMismatch):
        store.put([Upload.of("key", b"the records")])
    assert server.readings == 12
    assert store.size("key") is None


def test_a_body_that_stays_cut_proves_nothing(make: Make) -> None:
    """It is an outage: the object stays, and the next attempt finds it right."""
    store = make()
    _Server(store, _cut, 4)
    with pytest.raises(StoreUnavailable):
        store.put([Upload.of("key", b"the records")])
    store.put([Upload.of("key", b"the records")])
    assert read_all(store, "key") == b"the records"


def test_somebody_elses_object_is_never_deleted(make: Make) -> None:
    """When another writer came in between, the mismatch is told, and nothing is deleted."""
    store = make()
    real = store._client.get_object

    def get_object(**arguments: Any) -> Any:
        store._client.put_object(Bucket=arguments["Bucket"], Key=arguments["Key"], Body=b"another's")
        return real(**arguments)

    store._client.get_object = get_object  # type: ignore[method-assign]
    with pytest.raises((WriteMismatch, ObjectExists)):
        store.put([Upload.of("key", b"the records")])
    assert read_all(store, "key") == b"another's"


def test_a_wrong_replacement_gives_the_old_version_back(make: Make) -> None:
    """In a bucket with versions only our own version goes."""
    store = make(lock=True)
    store.replace(Upload.of("root", b"old"))
    _Server(store, _flip, 12)
    with pytest.raises(WriteMismatch):
        store.replace(Upload.of("root", b"new"))
    assert read_all(store, "root") == b"old"


def test_equal_size_is_not_equality(make: Make) -> None:
    """Where signed digests prove arrival, an existing object is still compared by its bytes."""
    store = make(PAYLOAD=Answer.YES, CREATE_ONLY=Answer.YES)
    store.put([Upload.of("key", b"first")])
    with pytest.raises(ObjectExists):
        store.put([Upload.of("key", b"other")])
    store.put([Upload.of("key", b"first")])  # our own earlier, unanswered request


def _large(folder: Path, size: int = 2 * _PART + 7) -> tuple[Path, bytes]:
    content = os.urandom(size)
    path = folder / "large"
    path.write_bytes(content)
    return path, content


@pytest.mark.parametrize("answers", [{}, {"CREATE_ONLY_PARTS": Answer.YES, "OBJECT_LOCK": Answer.YES}])
def test_large_files(make: Make, tmp_path: Path, answers: dict[str, Answer]) -> None:
    """Parts arrive whole; a second file under the key is refused, with and without If-None-Match."""
    store = make(**answers)
    path, content = _large(tmp_path)
    upload = Upload("large", len(content), sha512_hex(content), path=path)
    store.put([upload])
    assert read_all(store, "large") == content
    other = bytes([content[0] ^ 1]) + content[1:]
    path.write_bytes(other)
    with pytest.raises(ObjectExists):
        store.put([replace(upload, sha512=sha512_hex(other))])
    assert read_all(store, "large") == content


def test_a_large_file_that_changed_is_never_seen(make: Make, tmp_path: Path) -> None:
    """Its parts are hashed on the way: the upload is aborted before there is an object."""
    store = make(PAYLOAD=Answer.YES)
    path, content = _large(tmp_path)
    with pytest.raises(WriteMismatch):
        store.put([Upload("large", len(content), sha512_hex(b"other"), path=path)])
    assert store.size("large") is None
    assert not list(store.leftovers(datetime.now(UTC) + timedelta(days=1)))


def test_leftovers(make: Make) -> None:
    """Uploads and scratch begun before the given moment, only below our prefix, only when asked."""
    store = make()
    bucket = store._settings.bucket
    for key in ("p/ours", "others/theirs"):
        store._client.create_multipart_upload(Bucket=bucket, Key=key)
    store._client.put_object(Bucket=bucket, Key="p/stele-probe-12ab/plain", Body=b"x")
    assert isinstance(store, TracksIncompleteUploads)
    now, soon = datetime.now(UTC), timedelta(hours=1)
    assert list(store.leftovers(now - soon)) == []
    for remove in (False, True):
        entries = list(store.leftovers(now + soon))
        found = [(entry.key, entry.size) for entry in entries]
        for entry in entries if remove else ():
            store.remove_leftover(entry)
        assert found == [("ours", 0), ("stele-probe-12ab/plain", 1)]
    assert list(store.leftovers(now + soon)) == []
    left = store._client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [upload["Key"] for upload in left] == ["others/theirs"]


_LOCK = {"OBJECT_LOCK": Answer.YES, "RETENTION": Answer.YES, "LEGAL_HOLD": Answer.YES}


def test_retention(make: Make, tmp_path: Path) -> None:
    """Asked for with the upload, small or large: read back, and deletion of the version refused."""
    store = make(lock=True, **_LOCK)
    assert isinstance(store, SupportsRetention)
    assert not isinstance(MemoryStore(), SupportsRetention)
    assert not isinstance(FileStore(tmp_path), SupportsRetention)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    path, content = _large(tmp_path)
    uploads = (
        Upload.of("small", b"s"),
        Upload("large", len(content), sha512_hex(content), path=path),
    )
    store.put(replace(u, retain_until=until, lock_mode="GOVERNANCE") for u in uploads)
    store.put([replace(Upload.of("held", b"h"), legal_hold=True), Upload.of("free", b"f")])
    for upload in uploads:
        found = store.retention(upload.key)
        assert found is not None
        assert (found.until, found.mode, found.legal_hold) == (until, "GOVERNANCE", False)
        key = {"Bucket": store._settings.bucket, "Key": f"p/{upload.key}"}
        version = store._client.head_object(**key)["VersionId"]
        with pytest.raises(StoreRefused), store.errors(upload.key):
            store._client.delete_object(**key, VersionId=version)
    held = store.retention("held")
    assert held is not None
    assert held.legal_hold
    assert store.retention("free") is None


@pytest.mark.parametrize("answers", [{}, {"RETENTION": Answer.NO}, {"RETENTION": Answer.UNKNOWN}])
def test_a_lock_that_would_not_hold_is_refused(make: Make, answers: dict[str, Answer]) -> None:
    """Nothing is written where the lock was not seen to be kept."""
    store = make(**answers)
    until = datetime.now(UTC) + timedelta(minutes=5)
    for upload in (
        replace(Upload.of("key", b"x"), retain_until=until, lock_mode="COMPLIANCE"),
        replace(Upload.of("key", b"x"), legal_hold=True),
    ):
        with pytest.raises(StoreRefused, match="would not be kept"):
            store.put([upload])
    assert store.size("key") is None


def _deaf_to(store: S3Store, prefix: str) -> None:
    """Headers that start so never reach the server."""

    def drop(params: dict[str, Any], **_: object) -> None:
        for name in [name for name in params["headers"] if name.lower().startswith(prefix)]:
            del params["headers"][name]

    store._client.meta.events.register("before-call.s3", drop)


def test_a_lock_that_did_not_hold_is_told(make: Make) -> None:
    """A server that ignores it, whatever was believed: an error, and no unlocked object."""
    store = make(**_LOCK)
    _deaf_to(store, "x-amz-object-lock")
    until = datetime.now(UTC) + timedelta(minutes=5)
    with pytest.raises(WriteMismatch, match="no lock"):
        store.put([replace(Upload.of("key", b"x"), retain_until=until, lock_mode="GOVERNANCE")])
    assert store.size("key") is None


def test_an_upload_with_half_a_lock() -> None:
    """Mode and time go together, and a time without zone is none."""
    now = datetime.now(UTC)
    for fields in ({"retain_until": now}, {"lock_mode": "GOVERNANCE"}):
        with pytest.raises(ValueError):
            replace(Upload.of("key", b"x"), **fields)
    with pytest.raises(ValueError):
        replace(Upload.of("key", b"x"), retain_until=now.replace(tzinfo=None), lock_mode="GOVERNANCE")


def test_encryption(make: Make, tmp_path: Path) -> None:
    """Asked for on every object, in one request and in parts, and seen in the answer."""
    store = make(settings={"sse": "AES256"})
    path, content = _large(tmp_path)
    store.put([Upload.of("s", b"s"), Upload("large", len(content), sha512_hex(content), path=path)])
    for key in ("p/s", "p/large"):
        head = store._client.head_object(Bucket=store._settings.bucket, Key=key)
        assert head["ServerSideEncryption"] == "AES256"


def test_encryption_that_is_ignored(make: Make) -> None:
    """A server that does not encrypt is refused, and the plain object removed."""
    store = make(settings={"sse": "AES256"})
    _deaf_to(store, "x-amz-server-side-encryption")
    with pytest.raises(StoreRefused, match="was to be encrypted"):
        store.put([Upload.of("key", b"x")])
    assert store.size("key") is None


def _listener(behave: Callable[[socket.socket], None]) -> tuple[int, Callable[[], None]]:
    """A server that treats each connection so; its port, and how to stop it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                try:
                    behave(connection)
                except (OSError, ssl.SSLError):
                    continue

    threading.Thread(target=serve, daemon=True).start()

    def stop() -> None:
        server.shutdown(socket.SHUT_RDWR)
        server.close()

    return server.getsockname()[1], stop


def _echo(connection: socket.socket) -> None:
    """A refusal whose text and code repeat whatever could be a credential."""
    connection.recv(65536)
    body = f"<Error><Code>AccessDenied</Code><Message>no: {_CANARY}</Message></Error>".encode()
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode() + body)


def _noise(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"this is no TLS, and no HTTP either\r\n\r\n")


@pytest.fixture(
    params=["refused", "bad url", "password in url", "no tls", "no http", "echo", "no bucket", "no ca"]
)
def broken(request: pytest.FixtureRequest, ministack: str, tmp_path: Path) -> Iterator[S3Settings]:
    """Settings that fail, each in its own way, with a secret that must not be seen."""
    settings = S3Settings(bucket="nowhere", access_key="AKIA-SOMEBODY", secret_key=_CANARY)
    stop: Callable[[], None] = lambda: None  # noqa: E731
    kind = request.param
    if kind in ("no tls", "no http", "echo"):
        port, stop = _listener(_echo if kind == "echo" else _noise)
        endpoint = f"{'https' if kind == 'no tls' else 'http'}://127.0.0.1:{port}"
    else:
        endpoint = {
            "refused": f"http://127.0.0.1:{free_port()}",
            "bad url": "not a url",
            "password in url": f"http://user:{_CANARY}@127.0.0.1:1",
            "no bucket": ministack,
            "no ca": "https://127.0.0.1:1",
        }[kind]
    ca = str(tmp_path / "none.pem") if kind == "no ca" else None
    yield replace(settings, endpoint_url=endpoint, ca_bundle=ca)
    stop()


def test_credentials_are_never_shown(
    broken: S3Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Not in the error, its cause, its traceback, the settings' text, or any log at any level."""
    monkeypatch.setattr("storage.s3.store.make_client", lambda s, n: make_client(s, n, attempts=1))
    caplog.set_level(logging.DEBUG)
    acts: tuple[Callable[[S3Store], object], ...] = (
        lambda store: store.put([Upload.of("key", b"x")]),
        lambda store: store.replace(Upload.of("key", b"x")),
        lambda store: read_all(store, "key"),
        lambda store: list(store.list("")),
    )
    shown: list[str] = []
    for act in acts:
        try:
            act(S3Store(broken))
        except StorageError as error:
            shown += [str(error), repr(error), "".join(traceback.format_exception(error))]
        else:
            pytest.fail("this cannot have worked")
    if broken.endpoint_url and "user:" not in broken.endpoint_url:
        shown.append(repr(broken))
    if "echo" not in request.node.name:  # there the server itself said it, and a debug log quotes it
        shown += [record.getMessage() for record in caplog.records]
    assert all(_CANARY not in text for text in shown)
