"""The same ingest into S3: ministack always, a real Ceph over HTTP and HTTPS where installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from requirements import free_port, unavailable

from packages.identifiers import PackageId
from pipeline.export import export_aip
from pipeline.ingest import ingest
from pipeline.store_check import verify_archive
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace


@dataclass(frozen=True)
class Server:
    """How to reach an S3 server."""

    endpoint: str
    access_key: str
    secret_key: str
    ca_bundle: str = ""


_CONF = """[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{mon}
run_dir = {d}/run
admin_socket = {d}/run/$name.asok
pid_file = {d}/run/$name.pid
log_file = {d}/$name.log
mon_cluster_log_file = {d}/cluster.log
keyring = {d}/keyring
auth_allow_insecure_global_id_reclaim = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_max_pg_per_osd = 2000
mon_warn_on_pool_no_redundancy = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_tick_interval = 1
osd_crush_update_on_start = true
ms_bind_port_min = 18490
ms_bind_port_max = 18590
[mon]
mon_data = {d}/mon
mon_initial_members = a
mon_data_avail_crit = 1
[osd]
osd_data = {d}/osd0
osd_objectstore = bluestore
bluestore_block_size = 12884901888
bluestore_fsck_on_mount = false
osd_memory_target = 939524096
osd_class_load_list = *
osd_class_default_list = *
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{http} ssl_endpoint=127.0.0.1:{https} \
ssl_certificate={d}/both.pem ssl_private_key={d}/both.pem
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_run_sync_thread = false
"""


class Ceph:
    """One monitor, one OSD, one gateway, all on loopback, all stopped by process id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http, self.https = free_port(), free_port()
        fsid = str(uuid.uuid4())
        mon = free_port()
        for name in ("mon", "osd0", "run"):
            (folder / name).mkdir()
        self._certificate()
        self.conf = folder / "ceph.conf"
        self.conf.write_text(_CONF.format(d=folder, fsid=fsid, mon=mon, http=self.http, https=self.https))
        key, c = str(folder / "keyring"), str(self.conf)
        run = self._run
        run("ceph-authtool", "--create-keyring", key, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name in ("client.admin", "client.rgw"):
            run("ceph-authtool", key, "--gen-key", "-n", name, "--cap", "mon", "allow *",
                "--cap", "osd", "allow *", "--cap", "mgr", "allow *")  # fmt: skip
        run("ceph-authtool", key, "--gen-key", "-n", "osd.0", "--cap", "mon", "allow profile osd",
            "--cap", "osd", "allow *", "--cap", "mgr", "allow profile osd")  # fmt: skip
        run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"v2:127.0.0.1:{mon}",
            "--clobber", str(folder / "monmap"))  # fmt: skip
        run("ceph-mon", "-c", c, "--mkfs", "-i", "a", "--monmap", str(folder / "monmap"), "--keyring", key)
        run("ceph-mon", "-c", c, "-i", "a")
        osd = str(uuid.uuid4())
        number = run("ceph", "-c", c, "osd", "new", osd).strip()
        run("ceph-osd", "-c", c, "-i", number, "--mkfs", "--osd-uuid", osd)
        run("ceph-osd", "-c", c, "-i", number)
        run("radosgw", "-c", c, "-n", "client.rgw", f"--rgw-data={folder}")
        run("radosgw-admin", "-c", c, "user", "create", "--uid=test", "--display-name=test",
            "--access-key=AK123", "--secret=SK456")  # fmt: skip

    @staticmethod
    def _run(*words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def _certificate(self) -> None:
        d = self.folder
        self._run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                  "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{d}/key.pem",
                  "-out", f"{d}/cert.pem")  # fmt: skip
        (d / "both.pem").write_text((d / "cert.pem").read_text() + (d / "key.pem").read_text())

    def stop(self) -> None:
        """Gateway, OSD, monitor, in that order."""
        for name in ("client.rgw", "osd.0", "mon.a"):
            pid_file = self.folder / "run" / f"{name}.pid"
            if pid_file.exists():
                pid = int(pid_file.read_text())
                os.kill(pid, 15)
                for _ in range(200):
                    if not Path(f"/proc/{pid}").exists():
                        break
                    time.sleep(0.1)
                else:
                    os.kill(pid, 9)


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceph]:
    """A fresh Ceph cluster with its S3 gateway."""
    if not all(shutil.which(p) for p in ("radosgw", "ceph-mon", "ceph-osd", "openssl")):
        unavailable("Ceph (radosgw, ceph-mon, ceph-osd) and openssl are not installed")
    cluster = None
    folder = tmp_path_factory.mktemp("ceph")
    try:
        cluster = Ceph(folder)
        yield cluster
    finally:
        if cluster:
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


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


def test_wrong_secret(server: Server, tmp_path: Path, make_bag) -> None:
    """A server that checks signatures refuses; the message names the store, not the secret."""
    if server.access_key == "AK":
        return  # ministack checks no signatures
    home = _workspace(tmp_path, server, _bucket(server), secret="wrong-secret")
    settings = load_settings(home)
    archive = build_archive(settings)
    result = ingest(make_bag({"a": b"a"}), choose_agreement(settings, None), archive)
    archive.catalogue.close()
    assert result.outcome == "failed"
    assert "access refused" in result.reason
    assert "wrong-secret" not in json.dumps(result.as_json())
