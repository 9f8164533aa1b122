"""What only a real S3 server can show: rot under an object, rights that are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from servers import Ceph, client_of, new_bucket, store_settings, workspace_on

from pipeline.checking.stores import verify_archive
from pipeline.ingest.run import ingest
from pipeline.preservation.audit import AuditBudget, audit
from pipeline.preservation.removal import (
    RemovalRefused,
    approve_removal,
    lift_hold,
    place_hold,
    request_removal,
)
from pipeline.preservation.update import Change, update_aip
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from storage.errors import StoreRefused
from storage.protocol import ObjectStore, Upload
from storage.states import CopyState


@pytest.mark.parametrize("what", ["a.bin", "METS.xml", "inventory.json", "inventory.json.sha512"])
def test_rot_on_the_disk_is_found_and_repaired(what: str, ceph: Ceph, make_bag, tmp_path: Path) -> None:
    """A byte changed below S3 keeps its ETag and its size; the audit finds it, the repair restores it."""
    server = ceph.server()
    bucket = new_bucket(server)
    home = workspace_on(
        tmp_path, '[[stores]]\nkind = "files"\nname = "disk"\n' + store_settings(server, bucket)
    )
    archive = build_archive(load_settings(home))
    sip = make_bag({"a.bin": bytes(range(256)) * 40, "name.txt": what.encode()})  # its own keys
    result = ingest(sip, choose_agreement(load_settings(home), None), archive)
    assert result.outcome == "stored", result.reason
    aip = str(result.aip)
    cloud = next(store for store in archive.stores if store.name == "cloud")
    root = cloud.repository.layout.object_root(aip)
    key = next(k for k in cloud.repository.store.list(f"{root}/") if k.endswith(f"/{what}"))
    before = client_of(server).head_object(Bucket=bucket, Key=f"aips/{key}")
    ceph.rot(f"aips/{key}", 60)
    after = client_of(server).head_object(Bucket=bucket, Key=f"aips/{key}")
    assert (after["ETag"], after["ContentLength"]) == (before["ETag"], before["ContentLength"])
    later = archive.clock() + timedelta(minutes=1)
    archive = replace(archive, clock=lambda: later)
    budget = AuditBudget(timedelta(0), 1 << 40, 1 << 40, 1e9, True, tmp_path / "aside")
    (found,) = [r for r in audit(archive, budget) if r.seen.state is not CopyState.VERIFIED]
    assert (found.seen.store, found.seen.state, found.state) == (
        "cloud",
        CopyState.DAMAGED,
        CopyState.VERIFIED,
    )
    assert [finding.key for finding in found.seen.findings] == [key.removeprefix(f"{root}/")]
    assert {r.outcome for r in verify_archive(archive, None)} == {"intact"}
    told = [event for event in archive.catalogue.events.of(aip) if event.type == "recovery"]
    assert [event.outcome for event in told] == ["success"]
    print(f"\n{told[0]}")
    archive.catalogue.close()


def test_a_user_who_may_only_read(ceph: Ceph, make_bag, tmp_path: Path) -> None:
    """Another user with read rights by bucket policy: audits and exports work, writing is refused."""
    owner = ceph.server()
    bucket = new_bucket(owner)
    keys = ceph.add_user("reader")
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/reader"]},
                "Action": ["s3:GetObject", "s3:ListBucket"],
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            }
        ],
    }  # fmt: skip
    client_of(owner).put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    home = workspace_on(tmp_path, store_settings(owner, bucket))
    archive = build_archive(load_settings(home))
    agreement = choose_agreement(load_settings(home), None)
    assert ingest(make_bag({"a.txt": b"a"}, name="first"), agreement, archive).outcome == "stored"
    archive.catalogue.close()
    (home / "stele.toml").write_text(store_settings(ceph.server(user=keys), bucket))
    archive = build_archive(load_settings(home))
    (report,) = verify_archive(archive, None)
    assert report.outcome == "intact"
    sip = make_bag({"b.txt": b"b"}, name="second")
    result = ingest(sip, agreement, archive)
    assert result.outcome == "failed"
    assert "access refused" in result.reason
    assert keys[1] not in json.dumps(result.as_json())
    assert (sip / "data/b.txt").read_bytes() == b"b"
    assert len(list(archive.catalogue.aips.all())) == 1
    archive.catalogue.close()


def test_a_hold_is_kept_by_the_server_too(ceph: Ceph, make_bag, tmp_path: Path) -> None:
    """Also on what a later version, a repair and a new copy write; lifted, the AIP can be removed."""
    server = ceph.server()
    buckets = [new_bucket(server, ObjectLockEnabledForBucket=True) for _ in "ab"]
    settings = "".join(
        store_settings(server, bucket, name=name, object_lock="GOVERNANCE")
        for name, bucket in zip(("one", "two"), buckets, strict=True)
    )
    home = workspace_on(tmp_path, settings)
    archive = build_archive(load_settings(home))
    agreement = choose_agreement(load_settings(home), None)
    aip = str(ingest(make_bag({"a.txt": b"a", "b.txt": b"b"}, name="held"), agreement, archive).aip)
    placed = place_hold(archive, aip, reason="case 12", person="A. Clerk")
    assert (placed.enforced, placed.untold) == (("one", "two"), ())
    ead = tmp_path / "ead.xml"
    ead.write_bytes(b'<ead xmlns="urn:isbn:1-931666-22-9"><eadheader/></ead>')
    update_aip(aip, Change("described", "B. Archivist", metadata=(ead,)), archive)
    one, two = archive.repositories
    root = two.layout.object_root(aip)
    _spoil(two.store, next(key for key in two.store.list(f"{root}/") if key.endswith("/a.txt")))
    budget = AuditBudget(timedelta(0), 1 << 40, 1 << 40, 1e9, True, tmp_path / "aside", everything=True)
    assert {result.state for result in audit(archive, budget)} == {CopyState.VERIFIED}
    client = client_of(server)
    keys = {key for repository in (one, two) for key in repository.store.list(f"{root}/")}
    assert len([key for key in keys if "/v2/" in key]) > 3
    for bucket in buckets:
        for key in keys:
            head = client.head_object(Bucket=bucket, Key=f"aips/{key}")
            assert head.get("ObjectLockLegalHoldStatus") == "ON", (bucket, key)
            with pytest.raises(ClientError, match="AccessDenied"):
                client.delete_object(Bucket=bucket, Key=f"aips/{key}", VersionId=head["VersionId"])
    archive.catalogue.holds.restore(aip, None)  # a catalogue that has forgotten
    with pytest.raises(RemovalRefused, match="under a legal hold"):
        request_removal(archive, aip, reason="list 4", person="A. Clerk")
    place_hold(archive, aip, reason="case 12", person="A. Clerk")
    lift_hold(archive, aip, reason="case closed", person="A. Clerk")
    request_removal(archive, aip, reason="list 4", person="A. Clerk")
    approve_removal(archive, aip, person="B. Archivist")
    assert not list(one.store.list(f"{root}/"))
    archive.catalogue.close()


def _spoil(store: ObjectStore, key: str) -> None:
    store.replace(Upload.of(key, b"rot"))


def test_retention_is_kept_by_the_server_and_by_us(ceph: Ceph, make_bag, tmp_path: Path) -> None:
    """Object Lock until the agreement's day: neither we nor the server remove or shorten it before."""
    server = ceph.server()
    bucket = new_bucket(server, ObjectLockEnabledForBucket=True)
    settings = store_settings(server, bucket, object_lock="GOVERNANCE")
    home = workspace_on(tmp_path, settings)
    archive = build_archive(load_settings(home))
    agreement = choose_agreement(load_settings(home), None)
    until = (archive.clock() + timedelta(days=3)).date()
    retention = agreement.retention.model_copy(update={"until": until})
    locked = agreement.model_copy(update={"retention": retention})
    content = {"a.txt": b"a", "large.bin": bytes(17 << 20)}
    result = ingest(make_bag(content, name="locked"), locked, archive)
    assert result.outcome == "stored", result.reason
    aip = str(result.aip)
    client = client_of(server)
    repository = archive.repositories[0]
    root = repository.layout.object_root(aip)
    for key in repository.store.list(f"{root}/"):
        head = client.head_object(Bucket=bucket, Key=f"aips/{key}")
        assert head["ObjectLockMode"] == "GOVERNANCE", key
        assert head["ObjectLockRetainUntilDate"].date() == until
        version = {"Bucket": bucket, "Key": f"aips/{key}", "VersionId": head["VersionId"]}
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(**version)
        sooner = {"Mode": "GOVERNANCE", "RetainUntilDate": archive.clock() + timedelta(minutes=1)}
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object_retention(**version, Retention=sooner)
    with pytest.raises(RemovalRefused, match=f"until {until}"):
        request_removal(archive, aip, reason="list 4", person="A. Clerk")
    archive.catalogue.aips.add_tombstone(
        replace(archive.catalogue.aips.get(aip), retain_until="")
    )  # forgotten
    with pytest.raises(RemovalRefused, match="has locked it until"):
        request_removal(archive, aip, reason="list 4", person="A. Clerk")
    with pytest.raises(StoreRefused):
        repository.remove(aip)
    (report,) = verify_archive(archive, None)
    assert report.outcome == "intact"
    archive.catalogue.close()
