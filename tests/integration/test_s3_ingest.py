"""The same ingest into S3: ministack always, a real Ceph over HTTP and HTTPS where installed."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from servers import Ceph, Server

from packages.identifiers import PackageId
from pipeline.export import export_aip
from pipeline.ingest import ingest
from pipeline.store_check import verify_archive
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace


@pytest.fixture(params=["ministack", "ceph-http", "ceph-https"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each server in turn."""
    if request.param == "ministack":
        return Server(request.getfixturevalue("ministack"), "AK", "SK")
    cluster: Ceph = request.getfixturevalue("ceph")
    if request.param == "ceph-http":
        return Server(f"http://127.0.0.1:{cluster.http}", "AK123", "SK456")
    certificate = str(cluster.folder / "cert.pem")
    return Server(f"https://127.0.0.1:{cluster.https}", "AK123", "SK456", certificate)


def _workspace(folder: Path, server: Server, bucket: str, secret: str | None = None) -> Path:
    home = folder / "home"
    make_workspace(home)
    ca = f'ca_bundle = "{server.ca_bundle}"\n' if server.ca_bundle else ""
    (home / "stele.toml").write_text(
        f'[[stores]]\nkind = "s3"\nname = "cloud"\nbucket = "{bucket}"\nprefix = "aips"\n'
        f'endpoint_url = "{server.endpoint}"\naccess_key = "{server.access_key}"\n'
        f'secret_key = "{secret or server.secret_key}"\n{ca}'
    )
    return home


def _bucket(server: Server) -> str:
    name = f"b-{uuid.uuid4().hex[:16]}"
    client = boto3.client(
        "s3", endpoint_url=server.endpoint, aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key, region_name="us-east-1",
        verify=server.ca_bundle or None,
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )  # fmt: skip
    client.create_bucket(Bucket=name)
    client.close()
    return name


def test_ingest_verify_export(server: Server, tmp_path: Path, make_bag) -> None:
    """A SIP with small files, odd names and one multipart file goes in, verifies, and comes out."""
    home = _workspace(tmp_path, server, _bucket(server))
    content = {f"small/{n}.txt": f"file {n}".encode() for n in range(40)}
    content |= {"公文 100%.txt": "文".encode(), "large.bin": os.urandom(20 << 20)}
    archive = build_archive(load_settings(home))
    agreement = choose_agreement(load_settings(home), None)
    sip = make_bag(content)
    result = ingest(sip, agreement, archive)
    assert result.outcome == "stored", result.reason
    (report,) = verify_archive(archive.catalogue, tuple(archive.repositories), None)
    assert (report.outcome, report.problems) == ("intact", ())
    package = PackageId.parse(str(result.aip))
    bag = export_aip(package, archive.repositories, tmp_path / "out").folder
    kept = bag / "data" / package.objid / "representations/rep1/data"
    assert (kept / "large.bin").read_bytes() == content["large.bin"]
    assert sum(1 for p in kept.rglob("*") if p.is_file()) == len(content)
    assert ingest(sip, agreement, archive).outcome == "duplicate"
    archive.catalogue.close()


def test_wrong_secret(server: Server, tmp_path: Path) -> None:
    """A server that checks signatures refuses; the message names the store, not the secret."""
    if server.access_key == "AK":
        return  # ministack checks no signatures
    from storage.errors import StoreRefused

    home = _workspace(tmp_path, server, _bucket(server), secret="wrong-secret")
    with pytest.raises(StoreRefused, match="access refused") as refused:
        build_archive(load_settings(home))
    assert "wrong-secret" not in str(refused.value)
