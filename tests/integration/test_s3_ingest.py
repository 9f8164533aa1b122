"""The same ingest into S3: ministack always, a real Ceph over HTTP and HTTPS where installed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from servers import Server, new_bucket, store_settings, workspace_on

from packages.identifiers import PackageId
from pipeline.access.export import export_aip
from pipeline.checking.stores import verify_archive
from pipeline.ingest.run import ingest
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement


@pytest.fixture(params=["ministack", "ceph-http", "ceph-https"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each server in turn."""
    if request.param == "ministack":
        return Server(request.getfixturevalue("ministack"), "AK", "SK")
    return request.getfixturevalue("ceph").server(tls=request.param == "ceph-https")


def _workspace(folder: Path, server: Server, bucket: str, secret: str | None = None) -> Path:
    more = {"secret_key": secret} if secret else {}
    return workspace_on(folder, store_settings(server, bucket, **more))


def test_ingest_verify_export(server: Server, tmp_path: Path, make_bag) -> None:
    """A SIP with small files, odd names and one multipart file goes in, verifies, and comes out."""
    home = _workspace(tmp_path, server, new_bucket(server))
    content = {f"small/{n}.txt": f"file {n}".encode() for n in range(40)}
    content |= {"公文 100%.txt": "文".encode(), "large.bin": os.urandom(20 << 20)}
    archive = build_archive(load_settings(home))
    agreement = choose_agreement(load_settings(home), None)
    sip = make_bag(content)
    result = ingest(sip, agreement, archive)
    assert result.outcome == "stored", result.reason
    (report,) = verify_archive(archive, None)
    assert (report.outcome, report.problems) == ("intact", ())
    package = PackageId.parse(str(result.aip))
    bag = export_aip(package, archive.repositories, tmp_path / "out").folder
    kept = bag / "data" / package.objid / "representations/rep1/data"
    assert (kept / "large.bin").read_bytes() == content["large.bin"]
    assert sum(1 for p in kept.rglob("*") if p.is_file()) == len(content)
    assert ingest(sip, agreement, archive).outcome == "duplicate"
    archive.catalogue.close()


def test_wrong_secret(server: Server, tmp_path: Path, make_bag) -> None:
    """A server that checks signatures refuses; the message names the store, not the secret."""
    if server.access_key == "AK":
        return  # ministack checks no signatures
    home = _workspace(tmp_path, server, new_bucket(server), secret="wrong-secret")
    settings = load_settings(home)
    archive = build_archive(settings)
    result = ingest(make_bag({"a": b"a"}), choose_agreement(settings, None), archive)
    archive.catalogue.close()
    assert result.outcome == "failed"
    assert "access refused" in result.reason
    assert "wrong-secret" not in json.dumps(result.as_json())
