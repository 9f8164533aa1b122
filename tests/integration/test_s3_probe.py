"""The probe's table for each server; what it keeps, refuses and switches on."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from requirements import free_port, unavailable, wait_for
from servers import Server
from typer.testing import CliRunner

from packages.digest import sha512_hex
from stele.cli.main import app
from stele.settings import load_settings
from stele.wiring import build_archive
from stele.workspace import make_workspace
from storage.errors import StorageError, StoreDangerous, StoreRefused, StoreUnavailable
from storage.protocol import Retention, Upload, read_all
from storage.s3.client import make_client
from storage.s3.probe.area import ProbeArea
from storage.s3.probe.capabilities import Answer, Capabilities, CheckName
from storage.s3.probe.run import probe
from storage.s3.store import S3Settings, S3Store

REPOSITORY = Path(__file__).parent.parent.parent
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
C = CheckName
_LOCKS = (C.RETENTION, C.RETENTION_FIRM, C.RETENTION_PARTS, C.LEGAL_HOLD)
_NO_LOCK = {C.OBJECT_LOCK: NO, **dict.fromkeys(_LOCKS, NO)}
_LOCKED = {C.VERSIONING: YES, C.RETENTION_PARTS: NO}
"""With object lock. Neither server keeps a retention that is asked for when parts are begun."""
_MINISTACK = {C.PAYLOAD: NO, C.OVERWRITE: NO}
_CEPH = {C.CREATE_ONLY_PARTS: NO}
_CEPH_VERSIONED = {**_CEPH, C.CREATE_ONLY: NO, C.IF_MATCH: NO}
_IN_PARTS = (C.MULTIPART, C.CREATE_ONLY_PARTS, C.RETENTION_PARTS)

# server, kind of bucket, and the answers that are not yes
TABLE: list[tuple[str, str, dict[CheckName, Answer]]] = [
    ("ministack", "plain", {**_MINISTACK, C.VERSIONING: NO, **_NO_LOCK}),
    ("ministack", "versioned", {**_MINISTACK, **_NO_LOCK}),
    ("ministack", "locked", {**_MINISTACK, **_LOCKED}),
    ("ministack", "default lock", {**_MINISTACK, **_LOCKED, **dict.fromkeys(_IN_PARTS, UNKNOWN)}),
    ("ceph-http", "plain", {**_CEPH, C.VERSIONING: NO, **_NO_LOCK}),
    ("ceph-http", "versioned", {**_CEPH_VERSIONED, **_NO_LOCK}),
    ("ceph-http", "locked", {**_CEPH_VERSIONED, **_LOCKED}),
    ("ceph-https", "plain", {**_CEPH, C.VERSIONING: NO, **_NO_LOCK}),
    ("ceph-https", "default lock", {**_CEPH_VERSIONED, **_LOCKED, **dict.fromkeys(_IN_PARTS, UNKNOWN)}),
]


def _server(request: pytest.FixtureRequest, name: str) -> Server:
    if name == "ministack":
        return Server(request.getfixturevalue("ministack"), "AK", "SK")
    cluster = request.getfixturevalue("ceph")
    if name == "ceph-http":
        return Server(f"http://127.0.0.1:{cluster.http}", "AK123", "SK456")
    return Server(f"https://127.0.0.1:{cluster.https}", "AK123", "SK456", str(cluster.folder / "cert.pem"))


def _bucket(server: Server, kind: str = "plain") -> tuple[S3Settings, Any]:
    """A new bucket, and a client for it that must be closed."""
    settings = S3Settings(
        bucket=f"b-{uuid.uuid4().hex[:16]}", prefix="aips", endpoint_url=server.endpoint, part_size=5 << 20,
        access_key=server.access_key, secret_key=server.secret_key, ca_bundle=server.ca_bundle or None,
    )  # fmt: skip
    client: Any = make_client(settings, "test")
    locked = {"ObjectLockEnabledForBucket": True} if "lock" in kind else {}
    client.create_bucket(Bucket=settings.bucket, **locked)
    if kind == "versioned":
        client.put_bucket_versioning(Bucket=settings.bucket, VersioningConfiguration={"Status": "Enabled"})
    if kind == "default lock":
        rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}
        client.put_object_lock_configuration(
            Bucket=settings.bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )
    return settings, client


def _left(client: Any, bucket: str) -> list[Any]:
    answer = client.list_object_versions(Bucket=bucket)
    uploads = client.list_multipart_uploads(Bucket=bucket)
    return [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ()), *uploads.get("Uploads", ())]


@pytest.mark.parametrize(("name", "kind", "others"), TABLE, ids=lambda v: v if isinstance(v, str) else "")
def test_table(
    request: pytest.FixtureRequest, name: str, kind: str, others: dict[CheckName, Answer]
) -> None:
    """Every check of every server ends as it was seen to end, and nothing is left behind."""
    settings, client = _bucket(_server(request, name), kind)
    with closing(client):
        found = probe(settings, datetime.now(UTC))
        assert {check.name: check.answer for check in found.checks} == {
            check: others.get(check, YES) for check in CheckName
        }
        assert found.dangers == ()
        assert all(check.sentence.endswith(".") for check in found.checks)
        assert _left(client, settings.bucket) == []


def test_nothing_is_left_after_an_error(ministack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the probe itself is interrupted, the area objects go, and only they."""
    settings, client = _bucket(Server(ministack, "AK", "SK"), "versioned")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("storage.s3.probe.run.versioning", interrupted)
    monkeypatch.setattr("storage.s3.probe.run._sub_resources", interrupted)
    with closing(client):
        client.put_object(Bucket=settings.bucket, Key="aips/record", Body=b"x")
        with pytest.raises(KeyboardInterrupt):
            probe(settings, datetime.now(UTC))
        assert [version["Key"] for version in _left(client, settings.bucket)] == ["aips/record"]


@pytest.mark.parametrize("kind", ["locked", "default lock"])
def test_locked_scratch_is_waited_for(ministack: str, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Without permission to bypass a retention, the area goes when its retention has run out."""
    settings, client = _bucket(Server(ministack, "AK", "SK"), kind)
    for module in ("area", "locks"):
        monkeypatch.setattr(f"storage.s3.probe.{module}.RETENTION", timedelta(seconds=4))
    monkeypatch.setattr("storage.s3.probe.area._SLACK", timedelta(seconds=1))
    watched = ProbeArea._watched

    def forbid(params: dict[str, Any], **_: object) -> None:
        params["headers"].pop("x-amz-bypass-governance-retention", None)

    def without_bypass(area: ProbeArea, made: Any) -> Any:
        made.meta.events.register("before-call.s3", forbid)
        return watched(area, made)

    monkeypatch.setattr(ProbeArea, "_watched", without_bypass)
    with closing(client):
        found = probe(settings, datetime.now(UTC))
        assert found.proven(C.RETENTION)
        assert found.proven(C.CLEAN)
        assert _left(client, settings.bucket) == []


@pytest.mark.parametrize(("change", "error"), [("bucket", StoreRefused), ("endpoint", StoreUnavailable)])
def test_a_store_that_cannot_be_used(ministack: str, change: str, error: type[Exception]) -> None:
    """No bucket and no server are errors, not findings."""
    endpoint = ministack if change == "bucket" else f"http://127.0.0.1:{free_port()}"
    settings = S3Settings(bucket="nowhere", endpoint_url=endpoint, access_key="AK", secret_key="SK")
    with pytest.raises(error):
        probe(settings, datetime.now(UTC))


@pytest.fixture(scope="module")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """rclone's S3 server, which takes calls it does not know for plain writes."""
    program = REPOSITORY / ".tools" / "rclone" / "rclone"
    if not program.exists():
        unavailable("rclone is not installed; run “make tools”")
    folder, port = tmp_path_factory.mktemp("rclone"), free_port()
    address = f"127.0.0.1:{port}"
    process = subprocess.Popen(
        [program, "serve", "s3", "--config", "/dev/null", "--addr", address, "--auth-key", "AK123,SK456", folder],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(f"http://{address}", process)
        yield Server(f"http://{address}", "AK123", "SK456")
    finally:
        process.terminate()
        process.wait(10)


def _workspace(folder: Path, settings: S3Settings) -> Path:
    home = folder / "home"
    make_workspace(home)
    (home / "stele.toml").write_text(
        f'[[stores]]\nkind = "s3"\nname = "cloud"\nbucket = "{settings.bucket}"\nprefix = "aips"\n'
        f'endpoint_url = "{settings.endpoint_url}"\naccess_key = "{settings.access_key}"\n'
        f'secret_key = "{settings.secret_key}"\n'
    )
    return home


def test_a_dangerous_server_is_refused(rclone: Server, tmp_path: Path) -> None:
    """rclone loses objects to sub-resource calls and to dying writers: nothing is archived there."""
    settings, client = _bucket(rclone)
    client.close()
    home = _workspace(tmp_path, settings)
    with pytest.raises(StoreDangerous, match="replacing the object with the request"):
        build_archive(load_settings(home)).stores[0].repository.initialise()
    found = json.loads((home / "probes/cloud.json").read_text("utf-8"))
    assert {c["name"] for c in found["checks"] if c["dangerous"]} == {"sub-resources", "overwrite"}
    assert next(c["answer"] for c in found["checks"] if c["name"] == "area removed") == "yes"
    done = CliRunner().invoke(app, ["store", "probe", "--home", str(home), "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["dangerous"] is True
    doctor = CliRunner().invoke(app, ["doctor", "--home", str(home), "--json"])
    lines = {line["subject"]: line for line in map(json.loads, doctor.stdout.splitlines())}
    assert lines["probe of cloud"]["state"] == "broken"


def _write_something(home: Path) -> None:
    archive = build_archive(load_settings(home))
    archive.stores[0].repository.initialise()
    archive.catalogue.close()


def test_first_use_probes_and_keeps(ministack: str, tmp_path: Path) -> None:
    """A workspace without a result makes one before the first write, once, and doctor shows it."""
    settings, client = _bucket(Server(ministack, "AK", "SK"))
    client.close()
    home = _workspace(tmp_path, settings)
    kept = home / "probes/cloud.json"
    _write_something(home)
    first = kept.read_text("utf-8")
    assert "SK" not in first
    _write_something(home)
    assert kept.read_text("utf-8") == first
    doctor = CliRunner().invoke(app, ["doctor", "--home", str(home), "--json"])
    lines = {line["subject"]: line for line in map(json.loads, doctor.stdout.splitlines())}
    assert lines["probe of cloud"]["state"] == "ok"
    assert "every write read back" in lines["probe of cloud"]["detail"]
    table = CliRunner().invoke(app, ["store", "probe", "cloud", "--home", str(home)])
    assert table.exit_code == 0
    assert "payload digest" in table.stdout
    nobody = CliRunner().invoke(app, ["store", "probe", "attic", "--home", str(home)])
    assert nobody.exit_code == 2


def test_a_result_for_another_bucket_is_void(ministack: str, tmp_path: Path) -> None:
    """Settings that moved to another bucket are probed anew."""
    server = Server(ministack, "AK", "SK")
    for _ in range(2):
        settings, client = _bucket(server)
        client.close()
        home = _workspace(tmp_path, settings)
        _write_something(home)
        found = json.loads((home / "probes/cloud.json").read_text("utf-8"))
        assert found["bucket"] == settings.bucket


@pytest.mark.parametrize("name", ["ministack", "ceph-http", "ceph-https"])
def test_writing_by_the_result(
    request: pytest.FixtureRequest, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects are read back only where the server does not verify the signed digest itself."""
    settings, client = _bucket(_server(request, name))
    client.close()
    made: list[Capabilities] = []

    def probed() -> Capabilities:
        made.append(probe(settings, datetime.now(UTC)))
        return made[-1]

    store = S3Store(settings, found=probed)
    reads: list[str] = []
    real = store._client.get_object
    monkeypatch.setattr(store._client, "get_object", lambda **a: (reads.append(a["Key"]), real(**a))[1])
    assert store.size("small") is None
    assert made == []
    large = tmp_path / "large"
    large.write_bytes(b"0123456789abcdef" * (11 << 16))
    store.put(
        [
            Upload.of("small", b"s"),
            Upload("large", large.stat().st_size, sha512_hex(large.read_bytes()), path=large),
        ]
    )
    store.replace(Upload.of("root", b"r"))
    assert len(made) == 1
    assert sorted(reads) == (["aips/large", "aips/root", "aips/small"] if name == "ministack" else [])
    assert read_all(store, "large") == large.read_bytes()
    store._client.close()


def test_locks_on_a_real_server(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A large file goes in one request where a retention in parts would be ignored, and is locked."""
    settings, client = _bucket(_server(request, "ceph-http"), "locked")
    store = S3Store(settings, found=lambda: probe(settings, datetime.now(UTC)))
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=60)
    large = tmp_path / "large"
    large.write_bytes(b"0123456789abcdef" * (11 << 16))
    upload = Upload(
        "large", large.stat().st_size, sha512_hex(large.read_bytes()), path=large,
        retain_until=until, lock_mode="GOVERNANCE",
    )  # fmt: skip
    with closing(client):
        store.put([upload])
        assert store.retention("large") == Retention(until, "GOVERNANCE", legal_hold=False)
        version = client.head_object(Bucket=settings.bucket, Key="aips/large")["VersionId"]
        with pytest.raises(StoreRefused), store.errors("large"):
            client.delete_object(Bucket=settings.bucket, Key="aips/large", VersionId=version)
        assert read_all(store, "large") == large.read_bytes()


def test_encryption_on_a_real_server(request: pytest.FixtureRequest) -> None:
    """Ceph without a key server cannot encrypt: that is said, and no plain object remains."""
    settings, client = _bucket(_server(request, "ceph-https"))
    store = S3Store(replace(settings, sse="AES256"))
    with closing(client):
        with pytest.raises(StorageError):
            store.put([Upload.of("key", b"x")])
        assert _left(client, settings.bucket) == []
