"""Accidents in which a careless archive would lose its last good bytes. Each was once possible."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.errors import DamagedArchive
from pipeline.holdings.journal import write_journal
from pipeline.ingest.run import ingest
from pipeline.preservation.audit import AuditBudget, audit, repair_all
from pipeline.preservation.rebuild import rebuild
from pipeline.preservation.reconcile import sweep
from pipeline.preservation.removal import (
    RemovalRefused,
    approve_removal,
    lift_hold,
    place_hold,
    request_removal,
    resume_removals,
)
from pipeline.preservation.replicate import replicate
from pipeline.preservation.update import Change, update_aip
from stele.settings import load_settings
from stele.wiring import build_archive
from stele.workspace import make_workspace
from storage.errors import StoreRefused
from storage.files.store import FileStore
from storage.states import CopyState


class Clock:
    """Moves a minute each time it is looked at."""

    now = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Two required folder stores, “one” and “two”."""
    home = tmp_path / "home"
    make_workspace(home)
    stores = "".join(f'[[stores]]\nkind = "files"\nname = "{n}"\npath = "{n}"\n' for n in ("one", "two"))
    (home / "stele.toml").write_text(stores)
    built = replace(build_archive(load_settings(home)), clock=Clock())
    yield built
    built.catalogue.close()


@pytest.fixture
def aip(archive: Archive, make_bag, agreement) -> str:
    """One AIP in both."""
    result = ingest(make_bag({"a.txt": b"hello"}), agreement, archive)
    assert result.outcome == "stored", result.reason
    return str(result.aip)


def _place(archive: Archive, store: str, aip: str) -> Path:
    return archive.work.parent / store / archive.repositories[0].layout.object_root(aip)


def _budget(archive: Archive, *, repair: bool = False) -> AuditBudget:
    aside = archive.work.parent / "quarantine"
    return AuditBudget(timedelta(days=90), 1 << 40, 1 << 40, 1e9, repair, aside, everything=True)


def _rot(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"HELLO")


def _added(archive: Archive, aip: str, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / f"{name}.txt").write_text(name)
    update_aip(aip, Change("access", "B", representation=folder, name=name), archive)


def _texts(archive: Archive, store: str, aip: str) -> set[str]:
    return {path.name for path in _place(archive, store, aip).rglob("*.txt")}


def test_sending_again_mends_nothing_by_force(archive, aip, make_bag, agreement, tmp_path: Path) -> None:
    """The inventory lost, the same records sent again: no version is thrown away; repair heals it."""
    _added(archive, aip, tmp_path, "rep2")
    for store in ("one", "two"):
        (_place(archive, store, aip) / "inventory.json").unlink()
    sip = tmp_path / "sip"
    result = ingest(sip, agreement, archive)
    assert result.outcome == "failed"
    assert "has lost or never got" in result.reason
    assert "rep2.txt" in _texts(archive, "one", aip)
    assert {r.state for r in audit(archive, _budget(archive, repair=True))} == {CopyState.VERIFIED}
    assert ingest(sip, agreement, archive).outcome == "duplicate"


def test_sweep_spares_what_lost_only_its_inventory(archive, aip) -> None:
    """However old: a version vouches for it, or the catalogue knows it."""
    (_place(archive, "one", aip) / "inventory.json").unlink()
    archive.clock.now += timedelta(days=3)
    assert list(sweep(archive, timedelta(days=1), remove=True)) == []
    assert "a.txt" in _texts(archive, "one", aip)


def test_replication_deletes_no_damaged_copy(archive, aip) -> None:
    """Each store has what the other lacks: replication leaves both, repair restores both."""
    _rot(next(_place(archive, "one", aip).rglob("a.txt")))
    (_place(archive, "two", aip) / "inventory.json").unlink()
    assert {r.state for r in audit(archive, _budget(archive))} == {CopyState.DAMAGED}
    assert list(replicate(archive)) == []
    assert {result.state for result in repair_all(archive, archive.work.parent / "quarantine")} == {
        CopyState.VERIFIED
    }
    assert {r.outcome for r in verify_archive(archive, None)} == {"intact"}


def test_an_update_needs_every_required_store(archive, aip, tmp_path: Path) -> None:
    """On a store that missed a version the next one would get the same number: refused, nothing forks."""
    away = archive.work.parent / "two"
    away.rename(away.with_name("away"))
    with pytest.raises(DamagedArchive, match="two"):
        _added(archive, aip, tmp_path, "repA")
    away.with_name("away").rename(away)
    _added(archive, aip, tmp_path, "repB")
    assert {r.outcome for r in verify_archive(archive, None)} == {"intact"}
    assert [v.version for v in archive.catalogue.versions.of(aip)] == ["v1", "v2"]


def test_an_unmounted_store_is_noticed_everywhere(archive, aip, make_bag, agreement) -> None:
    """Audit, repair, replication, removal and ingest: none fills the mount point, none says “done”."""
    two = archive.work.parent / "two"
    two.rename(two.with_name("away"))
    two.mkdir()
    seen = {r.seen.store: r.state for r in audit(archive, _budget(archive, repair=True))}
    assert seen == {"one": CopyState.VERIFIED, "two": CopyState.UNREADABLE}
    assert ingest(make_bag({"b.txt": b"b"}, name="other"), agreement, archive).outcome == "failed"
    list(replicate(archive))
    request_removal(archive, aip, reason="list 4", person="A. Clerk")
    with pytest.raises(StoreRefused, match="is it mounted"):
        approve_removal(archive, aip, person="B. Archivist")
    assert "a.txt" in _texts(archive, "one", aip)
    assert list(two.rglob("*")) == []


def test_rebuilding_hides_no_damage(archive, aip) -> None:
    """What is known to be damaged stays so, also when only the journal knows it."""
    _rot(next(_place(archive, "one", aip).rglob("a.txt")))
    list(audit(archive, _budget(archive)))
    list(rebuild(archive))
    assert archive.catalogue.copies.count("one") == {"damaged": 1}
    archive.catalogue.close()
    for file in archive.work.parent.glob("catalogue.sqlite*"):
        file.unlink()
    again = replace(build_archive(load_settings(archive.work.parent)), clock=archive.clock)
    list(rebuild(again))
    assert again.catalogue.copies.count("one") == {"damaged": 1}, "its journal tells of the audit"
    assert again.catalogue.copies.count("two") == {"verified": 1}, "its journal tells of the audit"
    again.catalogue.close()


def test_a_hold_survives_the_catalogue(archive, aip) -> None:
    """A rebuilt catalogue still refuses the removal."""
    place_hold(archive, aip, reason="case\u202812/26", person="Court")
    archive.catalogue.close()
    for file in archive.work.parent.glob("catalogue.sqlite*"):
        file.unlink()
    again = replace(build_archive(load_settings(archive.work.parent)), clock=archive.clock)
    list(rebuild(again))
    with pytest.raises(RemovalRefused, match="a hold stands"):
        request_removal(again, aip, reason="list 4", person="A. Clerk")
    again.catalogue.close()


def test_a_rebuild_goes_on_after_a_hold_it_cannot_understand(archive, aip) -> None:
    """A record somebody else wrote is told, and takes neither the rebuild nor the hold beside it along."""
    place_hold(archive, aip, reason="case\u202812/26", person="Court")
    placed = archive.catalogue.events.of(aip)[-1]
    strange = replace(
        placed, id="urn:uuid:00000000-0000-4000-8000-000000000000", payload='{"hold": {"until": 1}}'
    )
    archive.catalogue.events.add(aip, [strange])
    assert write_journal(archive).complete
    problems = [found.problem for found in rebuild(archive) if found.problem]
    assert problems
    assert all("cannot be understood" in problem for problem in problems)
    with pytest.raises(RemovalRefused, match="a hold stands"):
        request_removal(archive, aip, reason="list 4", person="A. Clerk")


def test_a_removal_that_was_cut_off_heeds_a_later_hold(
    archive, aip, agreement, tmp_path, monkeypatch
) -> None:
    """Approved, killed, then held: nothing more goes. And its records are not taken in meanwhile."""
    request_removal(archive, aip, reason="list 4", person="A. Clerk")
    with pytest.raises(RemovalRefused, match="another person"):
        approve_removal(archive, aip, person="Ａ.  clerk")
    with monkeypatch.context() as patch:
        patch.setattr(type(archive.repositories[0]), "remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            approve_removal(archive, aip, person="B. Archivist")
    assert ingest(tmp_path / "sip", agreement, archive).outcome == "in-review"
    place_hold(archive, aip, reason="case 12/26", person="Court")
    with pytest.raises(RemovalRefused, match="a hold stands"):
        approve_removal(archive, aip, person="B. Archivist")
    assert "a.txt" in _texts(archive, "one", aip)


def test_what_a_hold_keeps_of_a_removal_that_was_cut_off(archive, aip, monkeypatch) -> None:
    """No sweep takes it, a rebuilt catalogue knows it, and when the hold is lifted the removal is finished."""
    request_removal(archive, aip, reason="list 4", person="A. Clerk")
    delete, deleted = FileStore.delete, []

    def cut_off(self: FileStore, key: str) -> None:
        if len(deleted) == 2:  # the inventories of the first store: nothing vouches for the rest now
            raise ZeroDivisionError
        deleted.append(key)
        delete(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "delete", cut_off)
        with pytest.raises(ZeroDivisionError):
            approve_removal(archive, aip, person="B. Archivist")
    place_hold(archive, aip, reason="case 12/26", person="Court")
    shutil.rmtree(_place(archive, "two", aip))  # so that no store holds a committed copy
    left = len(list(_place(archive, "one", aip).rglob("*")))
    archive.clock.now += timedelta(days=9)
    list(sweep(archive, timedelta(0), remove=True))
    archive.catalogue.close()
    for file in archive.work.parent.glob("catalogue.sqlite*"):
        file.unlink()
    again = replace(build_archive(load_settings(archive.work.parent)), clock=archive.clock)
    list(rebuild(again))
    assert again.catalogue.aips.get(aip).state == "removing"
    list(sweep(again, timedelta(0), remove=True))
    assert next(reason for _, reason in resume_removals(again)).startswith("a hold stands")
    assert len(list(_place(again, "one", aip).rglob("*"))) == left
    lift_hold(again, aip, reason="case closed", person="Court")
    assert list(resume_removals(again)) == [(aip, "")]
    assert not _place(again, "one", aip).exists()
    assert again.catalogue.aips.get(aip).state == "removed"
    again.catalogue.close()


def test_removed_records_come_back_only_by_decision(archive, aip, agreement, tmp_path) -> None:
    """Sent again after a removal they are held, not silently taken."""
    request_removal(archive, aip, reason="list 4", person="A. Clerk")
    approve_removal(archive, aip, person="B. Archivist")
    result = ingest(tmp_path / "sip", agreement, archive)
    assert result.outcome == "in-review"
    assert "AGREE-REMOVED" in {problem.code for problem in result.problems}
    assert not _place(archive, "one", aip).exists()


def test_one_damaged_copy_starves_no_other(archive, aip, make_bag, agreement) -> None:
    """It is looked at in its turn, not in every nightly run before all others."""
    for number in range(4):
        ingest(make_bag({"f.txt": str(number).encode()}, name=f"s{number}"), agreement, archive)
    _rot(next(_place(archive, "one", aip).rglob("a.txt")))
    seen: set[tuple[str, str]] = set()
    budget = replace(_budget(archive), everything=False, ttl=timedelta(days=5))
    for _ in range(5):
        archive.clock.now += timedelta(hours=20)
        seen |= {(r.seen.object_id, r.seen.store) for r in audit(archive, budget)}
    assert len(seen) == 10


def test_a_store_that_takes_no_repair_stops_no_audit(archive, aip, monkeypatch) -> None:
    """The damage is told, the reason too, and the next copy is read."""
    _rot(next(_place(archive, "one", aip).rglob("a.txt")))
    one = archive.repositories[0].store

    def refuse(_upload: object) -> None:
        raise StoreRefused("one", "Read-only file system")

    monkeypatch.setattr(one, "replace", refuse)
    results = list(audit(archive, _budget(archive, repair=True)))
    assert {r.seen.store: r.state for r in results} == {"one": CopyState.DAMAGED, "two": CopyState.VERIFIED}
    assert any("Read-only" in r.seen.reason for r in results)


def test_settings_of_two_archives_do_not_mix(tmp_path: Path, monkeypatch) -> None:
    """--home wins over STELE_HOME in everything."""
    for name in ("a", "b"):
        make_workspace(tmp_path / name)
    monkeypatch.setenv("STELE_HOME", str(tmp_path / "b"))
    assert load_settings(tmp_path / "a").home == tmp_path / "a"
    shutil.rmtree(tmp_path / "b")
