"""S3 servers for tests: a real Ceph from Debian's packages, and how to reach any of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from requirements import free_port, wait_for, wait_for_port

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


class Ministack:
    """An S3 server in Python that keeps its objects on disk, so that it can die and come back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Ministack:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Serve what is there; returns when it answers."""
        environment = {
            **os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self._port), "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self._folder),
        }  # fmt: skip
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("ministack")], env=environment, cwd=self._folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(self.endpoint, self._process)

    def snapshot(self) -> Path:
        """A copy of all that is stored, taken while nothing is asked."""
        kept = self._folder.with_name(f"{self._folder.name}-kept")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self._folder, kept)
        return kept

    def restore(self, kept: Path) -> None:
        """Back to what a snapshot holds."""
        self.kill()
        shutil.rmtree(self._folder)
        shutil.copytree(kept, self._folder)
        self.start()

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


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
        for port in (self.http, self.https):
            wait_for_port(port)
        run("radosgw-admin", "-c", c, "user", "create", "--uid=test", "--display-name=test",
            "--access-key=AK123", "--secret=SK456")  # fmt: skip

    def server(self, *, tls: bool = False, user: tuple[str, str] = ("AK123", "SK456")) -> Server:
        """How to reach the gateway."""
        if tls:
            return Server(f"https://127.0.0.1:{self.https}", *user, str(self.folder / "cert.pem"))
        return Server(f"http://127.0.0.1:{self.http}", *user)

    def add_user(self, name: str) -> tuple[str, str]:
        """One more user's keys."""
        keys = f"AK{name}", f"SK{name}secret"
        self._run("radosgw-admin", "-c", str(self.conf), "user", "create", f"--uid={name}",
                  f"--display-name={name}", f"--access-key={keys[0]}", f"--secret={keys[1]}")  # fmt: skip
        return keys

    def rot(self, key: str, offset: int) -> None:
        """Change one byte under an object, where no S3 request could: on the disk."""
        rados = ("rados", "-c", str(self.conf), "-p", "default.rgw.buckets.data")
        name = next(line for line in self._run(*rados, "ls").splitlines() if line.endswith(f"_{key}"))
        byte = self.folder / "byte"
        byte.write_bytes(b"\xa5")
        self._run(*rados, "put", "--offset", str(offset), name, str(byte))

    @staticmethod
    def _run(*words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=180)
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
                    if _gone(pid):
                        break
                    time.sleep(0.1)
                else:
                    os.kill(pid, 9)


def _gone(pid: int) -> bool:
    """Whether a process has ended; one whose parent never asks stays as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def client_of(server: Server) -> Any:
    """A plain boto3 client, past all of our own code."""
    return boto3.client(
        "s3", endpoint_url=server.endpoint, aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key, region_name="us-east-1",
        verify=server.ca_bundle or None,
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )  # fmt: skip


def new_bucket(server: Server, **options: Any) -> str:
    """A fresh bucket's name."""
    name = f"b-{uuid.uuid4().hex[:16]}"
    client = client_of(server)
    client.create_bucket(Bucket=name, **options)
    client.close()
    return name


def store_settings(server: Server, bucket: str, name: str = "cloud", **more: str) -> str:
    """The ``[[stores]]`` part of a stele.toml."""
    facts = {
        "kind": "s3", "name": name, "bucket": bucket, "prefix": "aips", "endpoint_url": server.endpoint,
        "access_key": server.access_key, "secret_key": server.secret_key, **more,
    }  # fmt: skip
    if server.ca_bundle:
        facts["ca_bundle"] = server.ca_bundle
    return "[[stores]]\n" + "".join(f'{key} = "{value}"\n' for key, value in facts.items())


def workspace_on(folder: Path, settings: str) -> Path:
    """A workspace with these settings."""
    home = folder / "home"
    make_workspace(home)
    (home / "stele.toml").write_text(settings)
    return home


def keep_probe(home: Path, name: str, probed: dict[str, Any], bucket: str, prefix: str = "aips") -> None:
    """Give a workspace the result of an earlier probe of the same server."""
    folder = home / "probes"
    folder.mkdir(exist_ok=True)
    facts = {**probed, "bucket": bucket, "prefix": f"{prefix}/" if prefix else ""}
    (folder / f"{name}.json").write_text(json.dumps(facts), "utf-8")
