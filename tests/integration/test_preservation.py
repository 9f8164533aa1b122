"""The closed loop: copies, audit, repair, replication, rebuild, removal, on folders and on S3."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from requirements import LONG
from servers import Server, keep_probe, new_bucket, store_settings

from packages.identifiers import PackageId
from pipeline.access.export import export_aip
from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.ingest.run import ingest
from pipeline.preservation.audit import AuditBudget, audit, plan, repair_all
from pipeline.preservation.rebuild import rebuild
from pipeline.preservation.reconcile import DifferenceKind, reconcile, sweep
from pipeline.preservation.removal import (
    RemovalRefused,
    approve_removal,
    lift_hold,
    place_hold,
    request_removal,
)
from pipeline.preservation.replicate import replicate
from stele.settings import load_settings
from stele.wiring import build_archive
from stele.workspace import make_workspace
from storage.errors import ObjectMissing
from storage.protocol import Upload, read_all
from storage.replicas.store import ArchivalStore
from storage.states import CopyState


@dataclass
class Clock:
    """A clock that moves when it is told to."""

    now: datetime = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


Builder = Callable[[], Archive]


@pytest.fixture(params=["files", "s3"])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Builder]:
    """Opens an archive with a required folder and a second required store of either kind."""
    home = tmp_path / "home"
    make_workspace(home)
    second = '[[stores]]\nname = "two"\nkind = "files"\npath = "second"\n'
    if request.param == "s3":
        server = Server(request.getfixturevalue("ministack"), "AK", "SK")
        bucket = new_bucket(server)
        keep_probe(home, "two", request.getfixturevalue("ministack_probe"), bucket)
        second = store_settings(server, bucket, name="two")
    (home / "stele.toml").write_text(f'[[stores]]\nkind = "files"\nname = "one"\npath = "store"\n{second}')
    opened: list[Archive] = []
    clock = Clock()

    def builder() -> Archive:
        archive = replace(build_archive(load_settings(home)), clock=clock)
        opened.append(archive)
        return archive

    yield builder
    for archive in opened:
        archive.catalogue.close()


@pytest.fixture
def kept(build: Builder, make_bag, agreement) -> tuple[Archive, str]:
    """An archive with one AIP in both stores."""
    archive = build()
    sip = make_bag({"a.txt": b"one", "b/ü.bin": bytes(5000), "same.bin": bytes(5000)})
    result = ingest(sip, agreement, archive)
    assert result.outcome == "stored", result.reason
    return archive, str(result.aip)


def _budget(archive: Archive, *, repair: bool = True, ttl: float = 0) -> AuditBudget:
    return AuditBudget(
        timedelta(days=ttl), 1 << 40, 1 << 40, 1e9, repair, archive.work.parent / "quarantine"
    )


def _later(archive: Archive, **delta: float) -> None:
    archive.clock.now += timedelta(**(delta or {"minutes": 1}))  # type: ignore[attr-defined]


def _store(archive: Archive, name: str) -> ArchivalStore:
    return next(store for store in archive.stores if store.name == name)


def _keys(store: ArchivalStore, aip: str) -> list[str]:
    return list(store.repository.store.list(store.repository.layout.object_root(aip) + "/"))


def _content_of(store: ArchivalStore, aip: str) -> dict[str, bytes]:
    return {key: read_all(store.repository.store, key) for key in _keys(store, aip)}


def _key(keys: list[str], what: str) -> str:
    return next(key for key in keys if what in key.split("urn%3auuid%3a")[1][36:])


def _flip(store: ArchivalStore, key: str) -> None:
    content = bytearray(read_all(store.repository.store, key))
    content[len(content) // 2] ^= 1
    store.repository.store.replace(Upload.of(key, bytes(content)))


def _cut(store: ArchivalStore, key: str) -> None:
    content = read_all(store.repository.store, key)
    store.repository.store.replace(Upload.of(key, content[: len(content) // 2]))


def _delete(store: ArchivalStore, key: str) -> None:
    store.repository.store.delete(key)


def _stray(store: ArchivalStore, key: str) -> None:
    store.repository.store.put([Upload.of(f"{key.rpartition('/')[0]}/stray.txt", b"who put me here?")])


_DAMAGES = [
    (_flip, "a.txt"),
    (_flip, "METS.xml"),
    (_flip, "/inventory.json"),
    (_flip, "v1/inventory.json"),
    (_flip, "/inventory.json.sha512"),
    (_flip, "0=ocfl_object_1.1"),
    (_cut, "premis.xml"),
    (_cut, "opaque/"),
    (_delete, "a.txt"),
    (_delete, "/inventory.json"),
    (_delete, "v1/inventory.json.sha512"),
    (_stray, "a.txt"),
]


_ON_S3 = (
    (_flip, "a.txt"),
    (_flip, "/inventory.json"),
    (_cut, "opaque/"),
    (_delete, "v1/inventory.json.sha512"),
)
"""What damage looks like does not depend on the kind of store; that a store is read at all does."""
_CASES = [
    (kind, damage, what, which)
    for kind in ("files", "s3")
    for damage, what in _DAMAGES
    for which in ("one", "two")
    if LONG
    or (kind == "files" and which == "two")
    or ((damage, what) in _ON_S3 and (kind, which) != ("s3", "one"))
]


@pytest.mark.parametrize(("build", "damage", "what", "which"), _CASES, indirect=["build"])
def test_damage_is_found_repaired_and_told(damage, what: str, which: str, kept) -> None:
    """Whatever happens to an object of either copy: found, repaired from the other, read again, told."""
    archive, aip = kept
    store = _store(archive, which)
    other = _store(archive, "two" if which == "one" else "one")
    before, good = _content_of(store, aip), _content_of(other, aip)
    assert before == good, "copies are equal to the byte"
    key = _key(sorted(before), what)
    damage(store, key)
    _later(archive)
    (found,) = [r for r in audit(archive, _budget(archive)) if r.seen.state is not CopyState.VERIFIED]
    assert (found.seen.store, found.seen.state) == (which, CopyState.DAMAGED)
    assert found.state is CopyState.VERIFIED
    assert _content_of(store, aip) == before
    assert _content_of(other, aip) == good
    told = {
        (event.type, event.outcome) for event in archive.catalogue.events.of(aip) if event.store == which
    }
    assert {("fixity check", "failure"), ("recovery", "success")} <= told
    if damage is not _delete:
        assert found.repaired is not None
        assert [p for p in Path(found.repaired.quarantine).rglob("*") if p.is_file()], (
            "the bad bytes are kept"
        )
    _later(archive)
    assert {r.seen.state for r in audit(archive, _budget(archive))} == {CopyState.VERIFIED}


def test_a_forged_copy_is_found(kept) -> None:
    """Content, inventory and sidecar changed together fool every reader, but not the catalogue."""
    import hashlib

    archive, aip = kept
    store = _store(archive, "two")
    root = store.repository.layout.object_root(aip)
    raw = store.repository.store
    old = hashlib.sha512(b"one").hexdigest()
    new = hashlib.sha512(b"0ne").hexdigest()
    raw.replace(Upload.of(_key(_keys(store, aip), "a.txt"), b"0ne"))
    forged = read_all(raw, f"{root}/inventory.json").replace(old.encode(), new.encode())
    digest = hashlib.sha512(forged).hexdigest()
    for folder in ("", "v1/"):
        raw.replace(Upload.of(f"{root}/{folder}inventory.json", forged))
        raw.replace(
            Upload.of(f"{root}/{folder}inventory.json.sha512", f"{digest} inventory.json\n".encode())
        )
    _later(archive)
    (found,) = [r for r in audit(archive, _budget(archive)) if r.seen.state is not CopyState.VERIFIED]
    assert found.seen.store == "two"
    assert len(found.seen.findings) == 5
    assert _content_of(store, aip) == _content_of(_store(archive, "one"), aip)


def test_no_good_copy_is_said_and_nothing_made_worse(kept) -> None:
    """The same file damaged in both copies: named, left as it is, everything else untouched."""
    archive, aip = kept
    for store in archive.stores:
        _flip(store, _key(_keys(store, aip), "a.txt"))
    before = [_content_of(store, aip) for store in archive.stores]
    _later(archive)
    results = list(audit(archive, _budget(archive)))
    assert [r.state for r in results] == [CopyState.DAMAGED, CopyState.DAMAGED]
    assert all(r.repaired and len(r.repaired.unrepaired) == 1 for r in results)
    assert [_content_of(store, aip) for store in archive.stores] == before


def test_a_lost_copy_comes_back(kept) -> None:
    """Nothing left in one store: missing, copied again, verified."""
    archive, aip = kept
    store = _store(archive, "two")
    before = _content_of(store, aip)
    for key in before:
        store.repository.store.delete(key)
    _later(archive)
    (found,) = [r for r in audit(archive, _budget(archive)) if r.seen.state is not CopyState.VERIFIED]
    assert (found.seen.state, found.state) == (CopyState.MISSING, CopyState.VERIFIED)
    assert _content_of(store, aip) == before


def test_repair_waits_for_approval(kept) -> None:
    """With the policy “approve” damage is recorded and left until a person starts the repair."""
    archive, aip = kept
    store = _store(archive, "two")
    _flip(store, _key(_keys(store, aip), "a.txt"))
    _later(archive)
    bad = [r for r in audit(archive, _budget(archive, repair=False)) if r.state is CopyState.DAMAGED]
    assert len(bad) == 1
    assert archive.catalogue.copies.count("two") == {"damaged": 1}
    (done,) = repair_all(archive, archive.work.parent / "quarantine")
    assert done.state is CopyState.VERIFIED
    assert archive.catalogue.copies.count("two") == {"verified": 1}


def test_a_later_store_is_filled(kept, tmp_path: Path) -> None:
    """A third store gets everything, byte for byte; asked again it lacks nothing."""
    archive, aip = kept
    third = ArchivalStore(
        type(archive.stores[0].repository)(
            type(_store(archive, "one").repository.store)(tmp_path / "3", "three")
        ),
        kind="files",
    )
    (tmp_path / "3").mkdir()
    archive = replace(archive, stores=(*archive.stores, third))
    (done,) = replicate(archive)
    assert done.made, done.reason
    assert _content_of(third, aip) == _content_of(_store(archive, "one"), aip)
    assert list(replicate(archive)) == []
    assert archive.catalogue.copies.stores_with_verified(aip) == ("one", "three", "two")


def test_secondary_store_down(build: Builder, make_bag, agreement, tmp_path: Path) -> None:
    """A secondary store out of reach does not stop the nightly run; what it lacks is pending and made later."""
    archive = build()
    gone = tmp_path / "file-not-folder"
    gone.write_text("x")
    files = type(archive.stores[0].repository.store)
    repository = type(archive.stores[0].repository)
    down = ArchivalStore(repository(files(gone, "third")), kind="files", role="secondary")  # type: ignore[arg-type]
    archive = replace(archive, stores=(*archive.stores, down))
    result = ingest(make_bag({"a.txt": b"a"}), agreement, archive)
    assert result.outcome == "stored"
    assert [p.code for p in result.problems if p.code.startswith("STORE")] == ["STORE-PENDING"]
    assert dict(archive.catalogue.copies.under_replicated(["third"])) == {result.aip: ("third",)}
    gone.unlink()
    gone.mkdir()
    (done,) = replicate(archive)
    assert done.made, done.reason
    assert dict(archive.catalogue.copies.under_replicated(["one", "two", "third"])) == {}


def test_required_store_down(build: Builder, make_bag, agreement, tmp_path: Path) -> None:
    """A required store out of reach: failed, not stored, and nothing half visible anywhere."""
    archive = build()
    gone = tmp_path / "file-not-folder"
    gone.write_text("x")
    files = type(archive.stores[0].repository.store)
    repository = type(archive.stores[0].repository)
    down = ArchivalStore(repository(files(gone, "third")), kind="files")
    archive = replace(archive, stores=(*archive.stores, down))
    result = ingest(make_bag({"a.txt": b"a"}), agreement, archive)
    assert (result.outcome, result.aip) == ("failed", None)
    assert "third" in result.reason
    assert list(archive.catalogue.aips.all()) == []


def test_an_unmounted_store_is_not_filled_anew(kept, make_bag, agreement) -> None:
    """A folder that should hold copies and is empty is a missing disk, not a new store."""
    archive, _ = kept
    root = archive.work.parent / "store"
    root.rename(root.with_name("unmounted"))
    root.mkdir()
    archive = replace(archive, stores=build_archive(load_settings(archive.work.parent)).stores)
    result = ingest(make_bag({"new.txt": b"n"}, name="other"), agreement, archive)
    assert result.outcome == "failed"
    assert "is it mounted" in result.reason


def test_every_copy_has_its_night(build: Builder, make_bag, agreement) -> None:
    """Ten AIPs, two stores, a term of five days: four copies a nightly run, and all are seen in the term."""
    archive = build()
    for number in range(10):
        ingest(make_bag({"f.txt": str(number).encode()}, name=f"sip{number}"), agreement, archive)
    seen: list[tuple[str, str]] = []
    for _ in range(5):
        _later(archive, days=1)
        tonight = list(audit(archive, _budget(archive, ttl=5)))
        assert len(tonight) == 4
        seen += [(r.seen.object_id, r.seen.store) for r in tonight]
    assert len(set(seen)) == 20
    _later(archive, days=20)  # three weeks without an audit: the backlog is spread, not dropped
    assert len(plan(archive, _budget(archive, ttl=5))) == 20


def test_a_cut_off_audit_is_gone_on_with(build: Builder, make_bag, agreement) -> None:
    """What was read before the cut is not read again."""
    archive = build()
    for number in range(6):
        ingest(make_bag({"f.txt": str(number).encode()}, name=f"sip{number}"), agreement, archive)
    _later(archive)
    run = audit(archive, _budget(archive))
    first = [next(run) for _ in range(5)]
    run.close()
    _later(archive)
    rest = list(audit(archive, _budget(archive)))
    assert len(rest) == 7
    assert not {(r.seen.object_id, r.seen.store) for r in first} & {
        (r.seen.object_id, r.seen.store) for r in rest
    }


def test_catalogue_from_storage(kept, build: Builder, make_bag, agreement) -> None:
    """Deleted and rebuilt, the catalogue tells the same: AIPs, versions, formats, events, copies."""
    archive, aip = kept
    ingest(make_bag({"x.csv": b"1,2\n"}, name="second"), agreement, archive)
    doomed = ingest(make_bag({"y.csv": b"3,4\n"}, name="third"), agreement, archive)
    _flip(_store(archive, "two"), _key(_keys(_store(archive, "two"), aip), "a.txt"))
    _later(archive)
    list(audit(archive, _budget(archive)))
    request_removal(archive, str(doomed.aip), reason="disposal list 4", person="A. Clerk")
    _later(archive)
    approve_removal(archive, str(doomed.aip), person="B. Archivist")

    def all_of(one: Archive) -> dict[str, object]:
        c = one.catalogue
        rows = [*c.aips.all(), *c.aips.all("removed")]
        return {
            "aips": sorted(rows, key=lambda row: row.id),
            "versions": {r.id: c.versions.of(r.id) for r in rows},
            "formats": {r.id: set(c.formats.of(r.id)) for r in rows if r.state == "kept"},
            "copies": {r.id: set(c.copies.of(r.id)) for r in rows},
            "events": {r.id: set(c.events.of(r.id)) for r in rows if r.state == "kept"},
            "removals": list(c.removals.all()),
        }

    before = all_of(archive)
    archive.catalogue.close()
    for file in archive.work.parent.glob("catalogue.sqlite*"):
        file.unlink()
    again = build()
    assert list(again.catalogue.aips.all()) == []
    assert not [done for done in rebuild(again) if done.problem]
    after = all_of(again)
    del before["versions"][str(doomed.aip)], after["versions"][str(doomed.aip)]  # type: ignore[attr-defined]
    assert after == before
    assert list(reconcile(again)) == []


def test_an_old_backup_of_the_catalogue_learns_what_happened_since(
    kept, build: Builder, make_bag, agreement
) -> None:
    """What was removed since is removed, not missing; what was taken in and updated since is kept."""
    archive, aip = kept
    doomed = ingest(make_bag({"y.csv": b"3,4\n"}, name="third"), agreement, archive)
    place = archive.work.parent / "catalogue.sqlite"
    with sqlite3.connect(place) as source, sqlite3.connect(place.with_name("backup")) as backup:
        source.backup(backup)
    request_removal(archive, str(doomed.aip), reason="disposal list 4", person="A. Clerk")
    approve_removal(archive, str(doomed.aip), person="B. Archivist")
    since = ingest(make_bag({"x.csv": b"1,2\n"}, name="second"), agreement, archive)
    place_hold(archive, aip, reason="court", person="C")
    archive.catalogue.close()
    for file in archive.work.parent.glob("catalogue.sqlite*"):
        file.unlink()
    place.with_name("backup").rename(place)
    again = build()
    _later(again)
    list(audit(again, _budget(again)))  # a nightly run, before anybody has noticed
    assert {copy.state for copy in again.catalogue.copies.of(str(doomed.aip))} == {"missing"}
    assert not [done for done in rebuild(again) if done.problem]
    assert {row.id for row in again.catalogue.aips.all()} == {aip, str(since.aip)}
    assert again.catalogue.aips.get(str(doomed.aip)).state == "removed"  # type: ignore[union-attr]
    assert again.catalogue.copies.of(str(doomed.aip)) == ()
    assert again.catalogue.holds.get(aip).person == "C"  # type: ignore[union-attr]
    assert list(reconcile(again)) == []


def test_what_is_lost_after_a_removal_was_undone_is_missing(kept, make_bag, agreement) -> None:
    """An AIP that was removed, sent again and then lost is not called removed by a rebuild."""
    archive, aip = kept
    request_removal(archive, aip, reason="disposal list 4", person="A. Clerk")
    approve_removal(archive, aip, person="B. Archivist")
    row = archive.catalogue.aips.get(aip)
    archive.catalogue.aips.add_tombstone(replace(row, state="kept"))  # as when its ingest was released
    assert not [done for done in rebuild(archive) if done.problem]
    assert archive.catalogue.aips.get(aip).state == "kept"


def test_reconcile_both_ways(kept, make_bag, agreement) -> None:
    """A row without objects, objects without a row, and leftovers are told apart."""
    archive, aip = kept
    two = _store(archive, "two")
    for key in _keys(two, aip):
        two.repository.store.delete(key)
    stranger = "urn:uuid:00000000-0000-4000-8000-000000000000"
    root = two.repository.layout.object_root(stranger)
    two.repository.store.put([Upload.of(f"{root}/inventory.json", b"{}")])
    left = two.repository.layout.object_root("urn:uuid:00000000-0000-4000-8000-000000000001")
    two.repository.store.put([Upload.of(f"{left}/v1/content/half.bin", b"half")])
    found = {(d.kind, d.store, d.subject) for d in reconcile(archive)}
    assert found == {
        (DifferenceKind.NOT_IN_STORE, "two", aip),
        (DifferenceKind.NOT_IN_CATALOGUE, "two", root),
        (DifferenceKind.NOT_COMMITTED, "two", left),
    }
    assert archive.catalogue.copies.count("two") == {"missing": 1}


def test_sweep_shows_before_it_removes(kept) -> None:
    """Leftovers younger than the limit are a write going on; older ones go when asked, AIPs never."""
    archive, aip = kept
    two = _store(archive, "two")
    left = two.repository.layout.object_root("urn:uuid:00000000-0000-4000-8000-000000000001")
    two.repository.store.put([Upload.of(f"{left}/v1/content/half.bin", b"half")])
    archive.clock.now = datetime.now(UTC)
    assert list(sweep(archive, timedelta(days=1), remove=True)) == []
    _later(archive, days=3)
    assert [d.subject for d in sweep(archive, timedelta(days=1), remove=False)] == [left]
    assert two.repository.store.size(f"{left}/v1/content/half.bin") == 4
    assert [d.subject for d in sweep(archive, timedelta(days=1), remove=True)] == [left]
    assert list(two.repository.store.list(f"{left}/")) == []
    assert len(_keys(two, aip)) > 10


def test_a_second_hold_does_not_replace_the_first(kept) -> None:
    """Lifting it would free an AIP that another case still needs. The same hold again changes nothing."""
    archive, aip = kept
    place_hold(archive, aip, reason="case 12/26", person="Court")
    events = len(archive.catalogue.events.of(aip))
    with pytest.raises(RemovalRefused, match=r"already: case 12/26 \(placed by Court"):
        place_hold(archive, aip, reason="case 13/26", person="Auditor")
    place_hold(archive, aip, reason="case 12/26", person="A. Clerk")
    assert archive.catalogue.holds.get(aip).person == "Court"
    assert len(archive.catalogue.events.of(aip)) == events
    lift_hold(archive, aip, reason="case closed", person="Court")
    place_hold(archive, aip, reason="case 13/26", person="Auditor")


def test_sweep_takes_empty_folders(kept) -> None:
    """A write killed before its first file leaves an object root, or a folder on the way to one.

    Asked for everything, no clock spares anything, also not one that is behind the store's.
    """
    archive, aip = kept
    one = _store(archive, "one")
    root = archive.work.parent / "store"
    left = one.repository.layout.object_root("urn:uuid:00000000-0000-4000-8000-000000000001")
    (root / left / "v1/content").mkdir(parents=True)
    beside = f"{left[1:3]}0{left[3:]}"  # another first tuple, and nothing more of an object
    (root / beside).parent.parent.mkdir(parents=True)
    (root / "lost+found").mkdir()
    archive.clock.now = datetime(2001, 1, 1, tzinfo=UTC)  # type: ignore[attr-defined]  # behind the store's
    topmost = {left.partition("/")[0], beside.partition("/")[0]}
    assert {d.subject for d in reconcile(archive)} == topmost
    assert {d.subject for d in sweep(archive, timedelta(0), remove=True)} == topmost
    assert list(sweep(archive, timedelta(0), remove=False)) == []
    assert [one.name for one in root.iterdir() if one.is_dir() and not any(one.iterdir())] == ["lost+found"]
    assert len(_keys(one, aip)) > 10


def test_sweep_leaves_what_is_not_ours(kept) -> None:
    """Files at a place where no AIP can lie are named, and stay."""
    archive, _ = kept
    two = _store(archive, "two")
    two.repository.store.put([Upload.of("lost+found/a/b/c/d.bin", b"recovered")])
    found = [(d.kind, d.store, d.subject) for d in reconcile(archive)]
    assert found == [(DifferenceKind.FOREIGN, "two", "lost+found/a/b/c")]
    swept = [(d.kind, d.store, d.subject) for d in sweep(archive, timedelta(0), remove=True)]
    assert swept == found
    assert two.repository.store.size("lost+found/a/b/c/d.bin") == 9


def test_removal_needs_two_people_and_no_hold(kept) -> None:
    """A reason, another person's approval, no hold; a tombstone and a certificate stay."""
    archive, aip = kept
    place_hold(archive, aip, reason="case 12/26", person="Court")
    with pytest.raises(RemovalRefused, match="a hold stands"):
        request_removal(archive, aip, reason="list 4", person="A. Clerk")
    lift_hold(archive, aip, reason="case closed", person="Court")
    with pytest.raises(RemovalRefused, match="reason"):
        request_removal(archive, aip, reason="  ", person="A. Clerk")
    request_removal(archive, aip, reason="list 4", person="A. Clerk")
    with pytest.raises(RemovalRefused, match="another person"):
        approve_removal(archive, aip, person="a. clerk ")
    assert len(_keys(_store(archive, "one"), aip)) > 10
    done = approve_removal(archive, aip, person="B. Archivist")
    for store in archive.stores:
        assert _keys(store, aip) == []
    assert "B. Archivist" in done.certificate.read_text("utf-8")
    assert [row.id for row in archive.catalogue.aips.all("removed")] == [aip]
    assert list(archive.catalogue.aips.all()) == []
    with pytest.raises(ObjectMissing):
        _store(archive, "one").repository.inventory(aip)


def test_retention_forbids_removal(build: Builder, make_bag, agreement) -> None:
    """Before the agreement's day nobody can remove, after it two people can."""
    archive = build()
    retention = agreement.retention.model_copy(update={"until": datetime(2030, 1, 1).date()})
    kept_long = agreement.model_copy(update={"retention": retention})
    aip = str(ingest(make_bag({"a": b"a"}), kept_long, archive).aip)
    with pytest.raises(RemovalRefused, match="until 2030-01-01"):
        request_removal(archive, aip, reason="list 4", person="A. Clerk")
    archive.clock.now = datetime(2030, 1, 2, tzinfo=UTC)
    request_removal(archive, aip, reason="list 4", person="A. Clerk")
    approve_removal(archive, aip, person="B. Archivist")
    assert list(archive.catalogue.aips.all()) == []


def test_export_and_verify_after_all_that(kept, tmp_path: Path) -> None:
    """The repaired archive still gives the AIP back whole, and store verify agrees."""
    archive, aip = kept
    _flip(_store(archive, "one"), _key(_keys(_store(archive, "one"), aip), "a.txt"))
    assert export_aip(PackageId.parse(aip), archive.repositories, tmp_path / "out").problems == ()
    _later(archive)
    list(audit(archive, _budget(archive)))
    assert {r.outcome for r in verify_archive(archive, None)} == {"intact"}
