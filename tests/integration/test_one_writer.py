"""One writer per AIP, only what was seen is said, nothing irreversible after an error: each once broke."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bag_builder import bag_builder

from packages.identifiers import PackageId
from packages.premis import EventType
from pipeline.access.release import AccessClosed, Release, export_released
from pipeline.archive import Archive
from pipeline.checking import stores as stores_module
from pipeline.checking.stores import verify_archive
from pipeline.errors import DamagedArchive
from pipeline.holdings import versions
from pipeline.holdings.events import event
from pipeline.holdings.journal import read_journal, write_journal
from pipeline.holdings.leases import leased_aip
from pipeline.ingest import run as run_module
from pipeline.ingest.run import IngestRun, ingest
from pipeline.intake import FolderBox, Intake, NightlyLimits, run_nightly
from pipeline.preservation import normalise as normalisation
from pipeline.preservation.audit import AuditBudget, audit
from pipeline.preservation.rebuild import rebuild
from pipeline.preservation.reconcile import DifferenceKind, reconcile, sweep
from pipeline.preservation.removal import (
    RemovalRefused,
    approve_removal,
    place_hold,
    request_removal,
    resume_removals,
)
from pipeline.preservation.replicate import replicate
from pipeline.preservation.update import Change, update_aip
from stele.intake import ingest_now
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace
from storage.errors import Busy, LeaseLost, StoreUnavailable
from storage.files.store import FileStore
from storage.ocfl.repository import OcflRepository
from storage.ocfl.writer import FencedWriter
from storage.states import CopyState


class Clock:
    """Moves a minute each time it is looked at."""

    now = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


Builder = Callable[..., Archive]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Builder]:
    """Opens the archive of one workspace, as often as a test needs another process of it."""
    home = tmp_path / "home"
    make_workspace(home)
    opened: list[Archive] = []
    clock = Clock()

    def made(*stores: str, extra: str = "") -> Archive:
        if stores:
            text = "".join(f'[[stores]]\nkind = "files"\nname = "{n}"\npath = "{n}"\n' for n in stores)
            (home / "stele.toml").write_text(text + extra)
        opened.append(replace(build_archive(load_settings(home)), clock=clock))
        return opened[-1]

    yield made
    for archive in opened:
        archive.catalogue.close()


@pytest.fixture
def archive(build: Builder) -> Archive:
    """Two required folder stores, “one” and “two”."""
    return build("one", "two")


@pytest.fixture
def aip(archive: Archive, make_bag, agreement) -> str:
    """One AIP in both."""
    result = ingest(make_bag({"a.txt": b"hello", "b.txt": b"world"}), agreement, archive)
    assert result.outcome == "stored", result.reason
    return str(result.aip)


def _home(archive: Archive) -> Path:
    return archive.work.parent


def _place(archive: Archive, store: str, aip: str) -> Path:
    return _home(archive) / store / archive.repositories[0].layout.object_root(aip)


def _budget(archive: Archive, *, repair: bool = False) -> AuditBudget:
    folder = _home(archive) / "quarantine"
    return AuditBudget(timedelta(days=90), 1 << 40, 1 << 40, 1e9, repair, folder, everything=True)


def _rot(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"HELLO")


def _metadata(tmp_path: Path, text: str = "x") -> Path:
    path = tmp_path / "dc.xml"
    path.write_text(f'<r xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{text}</dc:title></r>')
    return path


def _states(archive: Archive, aip: str) -> dict[str, tuple[str, str, str]]:
    return {c.store: (c.state, c.version, c.verified) for c in archive.catalogue.copies.of(aip)}


def _all_well(archive: Archive, aip: str, version: str) -> None:
    assert archive.catalogue.aips.get(aip).version == version  # type: ignore[union-attr]
    assert {result.state for result in audit(archive, _budget(archive))} == {CopyState.VERIFIED}
    reports = list(verify_archive(archive, None))
    assert {(report.version, report.outcome) for report in reports} == {(version, "intact")}
    assert list(reconcile(archive)) == []
    assert list(sweep(archive, timedelta(), remove=False)) == []
    assert archive.catalogue.versions.all_planned() == ()
    assert archive.catalogue.leases.all() == ()


# -- only what was seen is said ---------------------------------------------------------------------


def test_an_update_leaves_a_damaged_copy_damaged(archive: Archive, aip: str, tmp_path: Path) -> None:
    """Nobody has read it since; and the date of the other copy is that of who read it last."""
    _rot(next(_place(archive, "one", aip).rglob("a.txt")))
    list(audit(archive, _budget(archive)))
    before = _states(archive, aip)
    update_aip(aip, Change("title", "B", metadata=(_metadata(tmp_path),)), archive)
    after = _states(archive, aip)
    assert after["one"] == ("damaged", "v2", before["one"][2])
    assert after["two"] == ("verified", "v2", before["two"][2])
    assert list(archive.catalogue.copies.lacking("one")) == [aip]
    assert {r.state for r in audit(archive, _budget(archive, repair=True))} == {CopyState.VERIFIED}


def test_no_update_from_damage(build: Builder, make_bag, agreement, tmp_path: Path) -> None:
    """Where no copy is known to be intact, an update is refused and says what to do."""
    archive = build("one")
    aip = str(ingest(make_bag({"a.txt": b"hello"}), agreement, archive).aip)
    _rot(next(_place(archive, "one", aip).rglob("a.txt")))
    list(audit(archive, _budget(archive)))
    with pytest.raises(DamagedArchive, match=r"no store is known to hold v1 .* intact.*stele store repair"):
        update_aip(aip, Change("title", "B", metadata=(_metadata(tmp_path),)), archive)


def test_an_update_fails_without_a_required_store(
    archive: Archive, aip: str, tmp_path: Path, monkeypatch
) -> None:
    """The version is kept where it is, what the other store holds stays known, replication ends it."""
    original = versions.copy_object

    def away(_: OcflRepository, target: OcflRepository, *__: Any, **___: Any) -> bool:
        raise StoreUnavailable(target.store.name, "it is down")

    monkeypatch.setattr(versions, "copy_object", away)
    with pytest.raises(
        StoreUnavailable, match=r"“two” cannot be used: it is down\. v2 of .* is kept in “one”"
    ):
        update_aip(aip, Change("title", "B", metadata=(_metadata(tmp_path),)), archive)
    monkeypatch.setattr(versions, "copy_object", original)
    state, version, verified = _states(archive, aip)["two"]
    assert (state, version) == ("pending", "v1")
    assert verified, "when v1 was verified there is not forgotten"
    assert archive.catalogue.copies.stores_with_verified(aip) == ("one",)
    assert [done.made for done in replicate(archive)] == [True]
    _all_well(archive, aip, "v2")


def test_too_many_copies_are_said_at_once(build: Builder, make_bag, agreement) -> None:
    """Before anything is received, and nothing is left in the store."""
    archive = build("one")
    wanted = agreement.model_copy(update={"required_copies": 2})
    result = ingest(make_bag({"a.txt": b"hello"}), wanted, archive)
    assert (result.outcome, result.stages) == ("failed", {})
    assert "requires 2 copies, but only 1 store(s) are configured" in result.reason
    assert not list((_home(archive) / "one").rglob("0=ocfl_object*"))


# -- one writer -------------------------------------------------------------------------------------


@contextmanager
def _at(
    method: str, then: Callable[[], None], monkeypatch, *, on: type = OcflRepository
) -> Iterator[list[int]]:
    """Run something else once, just before a method is called for the first time."""
    done: list[int] = []
    original = getattr(on, method)

    def hooked(self: Any, *args: Any, **more: Any) -> Any:
        if not done:
            done.append(1)
            then()
        return original(self, *args, **more)

    monkeypatch.setattr(on, method, hooked)
    yield done
    monkeypatch.setattr(on, method, original)


def test_an_audit_leaves_an_update_alone(
    archive: Archive, aip: str, build: Builder, tmp_path: Path, monkeypatch
) -> None:
    """With automatic repair, between the content of v2 and its commit: it skips the AIP and says why."""
    other, seen = build(), []

    def audited() -> None:
        seen.extend(audit(other, _budget(other, repair=True)))

    folder = tmp_path / "rep"
    folder.mkdir()
    (folder / "new.txt").write_text("the only bytes of v2")
    with _at("commit", audited, monkeypatch) as done:
        updated = update_aip(aip, Change("more", "B", representation=folder), archive)
    assert done and updated.version == "v2"
    assert len(seen) == 2
    assert all("is in use by update (process" in result.skipped for result in seen)
    assert not (_home(archive) / "quarantine").exists()
    assert list(_place(archive, "one", aip).rglob("new.txt"))
    _all_well(archive, aip, "v2")


def test_an_update_waits_for_an_audit(
    archive: Archive, aip: str, build: Builder, tmp_path: Path, monkeypatch
) -> None:
    """It is refused with who is at it, and nothing is planned or written."""
    import pipeline.preservation.audit as module

    other, refused = build(), []
    change = Change("title", "B", metadata=(_metadata(tmp_path),))

    def updated() -> None:
        with pytest.raises(
            Busy, match=r"is in use by audit \(process \d+ on .*; try again when that has ended"
        ):
            update_aip(aip, change, other, wait_s=0)
        refused.append(1)

    original = module.audit_copy
    monkeypatch.setattr(module, "audit_copy", lambda *args: (updated(), original(*args))[1])
    assert {result.state for result in audit(archive, _budget(archive, repair=True))} == {
        CopyState.VERIFIED
    }
    monkeypatch.undo()
    assert refused
    assert update_aip(aip, change, archive).version == "v2"
    _all_well(archive, aip, "v2")


def test_a_sweep_knows_a_write_in_progress(
    archive: Archive, build: Builder, make_bag, agreement, monkeypatch
) -> None:
    """However old its files are: they were linked in with the time of their arrival."""
    other, swept = build(), []

    def sweeping() -> None:
        for path in (_home(archive) / "one").rglob("*"):
            os.utime(path, (0, 0))
        swept.extend(sweep(other, timedelta(), remove=True))

    with _at("_commit", sweeping, monkeypatch):
        result = ingest(make_bag({"a.txt": b"hello"}), agreement, archive)
    assert result.outcome == "stored", result.reason
    assert [difference.kind for difference in swept] == [DifferenceKind.IN_USE]
    _all_well(archive, str(result.aip), "v1")


def test_reconcile_looks_again_before_it_speaks(
    archive: Archive, build: Builder, tmp_path: Path, agreement, monkeypatch
) -> None:
    """An ingest that ends after the listing leaves no copy called missing."""
    import pipeline.preservation.reconcile as module

    other, build_bag = build(), bag_builder(tmp_path)
    ingest(build_bag({"a.txt": b"1"}, name="first"), agreement, archive)
    original = module.scan_objects

    def listed_then_ingested(store: Any) -> Iterator[Any]:
        yield from original(store)
        ingest(build_bag({"a.txt": store.name.encode()}, name=f"late-{store.name}"), agreement, other)

    monkeypatch.setattr(module, "scan_objects", listed_then_ingested)
    assert list(reconcile(archive)) == []
    monkeypatch.undo()
    assert archive.catalogue.copies.count("one") == {"verified": 3}


def test_a_process_that_lost_its_lease_writes_nothing(archive: Archive, aip: str) -> None:
    """Neither to the catalogue nor to a store, once another has taken over."""
    with leased_aip(archive, aip, "update") as leased:
        with archive.catalogue.database.transaction() as connection:
            from sqlalchemy import text

            connection.execute(text("DELETE FROM lease"))
        with pytest.raises(LeaseLost):
            leased.archive.catalogue.aips.set_state(aip, "removed")
        with pytest.raises(LeaseLost):
            leased.archive.repositories[0].remove(aip)
    assert archive.catalogue.aips.get(aip).state == "kept"  # type: ignore[union-attr]
    assert archive.repositories[0].holds(aip)


def test_a_hold_does_not_wait_for_an_audit(archive: Archive, aip: str, build: Builder) -> None:
    """A court order stands at once, however long an AIP is read; a removal that comes then is refused."""
    other = build()
    request_removal(archive, aip, reason="list 4", person="A. Clerk")
    with leased_aip(archive, aip, "audit"):
        place_hold(other, aip, reason="case 7", person="Court", wait_s=0)
        assert other.catalogue.holds.get(aip) is not None
    with pytest.raises(RemovalRefused, match="a hold stands"):
        approve_removal(archive, aip, person="B. Archivist")


# -- killed anywhere --------------------------------------------------------------------------------


class _Cut(BaseException):
    """As if the process were gone."""


@pytest.mark.parametrize("finish", ["the same command", "replicate", "audit", "verify"])
@pytest.mark.parametrize("where", ["staged", "commit", "copy_object", "register"])
def test_an_update_that_was_cut_off_is_finished(
    where: str, finish: str, archive: Archive, aip: str, build: Builder, tmp_path: Path, monkeypatch
) -> None:
    """By the same command, by replication, by the next audit: no expert, no third version, no loss."""
    on: type = type(archive.catalogue.aips) if where == "register" else OcflRepository

    def cut(*_: Any, **__: Any) -> Any:
        raise _Cut

    change = Change("title", "B", metadata=(_metadata(tmp_path),))
    with monkeypatch.context() as patched:
        if where == "staged":  # after its content was written
            original = FencedWriter.put
            patched.setattr(
                FencedWriter, "put", lambda self, *args, **more: (original(self, *args, **more), cut())
            )
        elif where == "copy_object":
            patched.setattr(versions, where, cut)
        else:
            patched.setattr(on, where, cut)
        with pytest.raises(_Cut):
            update_aip(aip, change, archive)
    other = build()
    if finish == "replicate":
        list(replicate(other))
    elif finish == "verify":
        assert {report.outcome for report in verify_archive(other, None)} == {"intact"}
    elif finish == "audit":
        results = list(audit(other, _budget(other, repair=True)))
        assert {result.state for result in results} == {CopyState.VERIFIED}
    assert update_aip(aip, change, other).version == "v2"
    assert update_aip(aip, change, other).version == "v2", "again: it is done already"
    assert not (_home(archive) / "quarantine").exists()
    _all_well(other, aip, "v2")


def test_what_somebody_writes_is_not_called_damaged(
    archive: Archive, aip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verification needs the lease as an audit does; without it nothing is said of the bytes."""
    monkeypatch.setattr(stores_module, "WAIT_FOR_PERSON_S", 0.0)
    with archive.catalogue.leases.leased(aip, "update", since="2026-01-01T00:00:00Z"):
        reports = list(verify_archive(archive, None))
    assert {report.outcome for report in reports} == {"unreadable"}
    assert "in use by update" in reports[0].problems[0].found
    assert {report.outcome for report in verify_archive(archive, None)} == {"intact"}


def test_a_run_killed_before_it_has_told_everybody(
    archive: Archive, agreement: Any, make_bag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between receipt and catalogue: the next run tells again what this one did, and never *duplicate*."""

    class _Killed(BaseException):
        """No code of ours runs after it."""

    told: list[str] = []

    def killed_at_the_second(name: str, tell: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            if told:
                raise _Killed
            told.append(name)
            return tell(*args)

        return wrapped

    bag = make_bag({"a.txt": b"custody"}, name="killed")
    with monkeypatch.context() as patched:
        patched.setattr(IngestRun, "_record", killed_at_the_second("catalogue", IngestRun._record))
        patched.setattr(
            run_module, "write_receipt", killed_at_the_second("receipt", run_module.write_receipt)
        )
        with pytest.raises(_Killed):
            ingest(bag, agreement, archive)
    again = ingest(bag, agreement, archive)
    assert again.outcome == "stored", told
    assert "into custody" in Path(str(again.receipt)).read_text("utf-8")
    assert [row.outcome for row in archive.catalogue.submissions.latest()] == ["stored"]


def _cannot_be_read(*_: object) -> str | None:
    raise StoreUnavailable("one", "read timeout")


def test_a_newer_version_nobody_knows_is_not_rolled_back(
    archive: Archive, aip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue is yesterday's backup: audit with repair leaves v2 alone and says what to do; also
    while the store does not say whether there is a v2."""
    saved = tmp_path / "yesterday"
    saved.mkdir()
    archive.catalogue.close()
    for path in _home(archive).glob("catalogue.sqlite*"):
        shutil.copy(path, saved / path.name)
    again = replace(build_archive(load_settings(_home(archive))), clock=archive.clock)
    update_aip(aip, Change("title", "B", metadata=(_metadata(tmp_path),)), again)
    again.catalogue.close()
    for path in _home(archive).glob("catalogue.sqlite*"):
        path.unlink()
    for path in saved.iterdir():
        shutil.copy(path, _home(archive) / path.name)
    old = replace(build_archive(load_settings(_home(archive))), clock=archive.clock)
    with monkeypatch.context() as patched:
        patched.setattr(OcflRepository, "grew_from", _cannot_be_read)
        results = list(audit(old, _budget(old, repair=True)))
    assert all("could not be seen" in r.seen.reason and r.repaired is None for r in results)
    assert not (_home(archive) / "quarantine").exists()
    results = list(audit(old, _budget(old, repair=True)))
    assert {result.state for result in results} == {CopyState.DAMAGED}
    assert all(
        "holds v2, which the catalogue does not know; run “stele store rebuild”" in r.seen.reason
        for r in results
    )
    assert not (_home(archive) / "quarantine").exists()
    list(rebuild(old))
    list(audit(old, _budget(old)))
    _all_well(old, aip, "v2")
    old.catalogue.close()


def test_a_removal_that_was_cut_off_is_finished_by_the_night(
    archive: Archive, aip: str, build: Builder, monkeypatch
) -> None:
    """Two people have agreed: the next nightly run removes what is left, once."""
    request_removal(archive, aip, reason="list 4", person="A. Clerk")
    original = FileStore.delete

    def two_then_gone(self: FileStore, key: str) -> None:
        original(self, key)
        if self.name == "two":
            raise _Cut

    monkeypatch.setattr(FileStore, "delete", two_then_gone)
    with pytest.raises(_Cut):
        approve_removal(archive, aip, person="B. Archivist")
    monkeypatch.undo()
    other = build()
    assert list(resume_removals(other)) == [(aip, "")]
    assert [row.id for row in other.catalogue.aips.all("removed")] == [aip]
    assert not _place(archive, "one", aip).exists()
    assert not _place(archive, "two", aip).exists()
    removed = [e for e in other.catalogue.events.of(aip) if e.type == "deletion" and e.outcome == "success"]
    assert len(removed) == 1
    done = approve_removal(other, aip, person="B. Archivist")
    assert done.certificate.stat().st_size > 0, "said again, the certificate is there"


# -- the journal, the quarantine --------------------------------------------------------------------


def test_a_store_that_is_away_stops_no_journal(build: Builder, make_bag, agreement) -> None:
    """The others get every event once; it gets what it lacks when it is back."""
    away = '[[stores]]\nkind = "files"\nname = "far"\npath = "far"\nrole = "secondary"\n'
    archive = build("one", extra=away)
    aip = str(ingest(make_bag({"a.txt": b"hello"}), agreement, archive).aip)
    far = _home(archive) / "far"
    far.rename(far.with_name("gone"))
    far.write_text("not a folder")
    for number in range(3):
        rows = [
            event(EventType.FIXITY_CHECK, archive.clock(), store="one", detail=f"{number} {n}")
            for n in range(4000)
        ]
        archive.catalogue.events.add(aip, rows)
    for _ in range(3):
        told = write_journal(archive, catch_up=True)
        assert [name for name, _ in told.behind] == ["far"]
        ids = [r.event.id for r in read_journal(archive.repositories[0].store) if r.event]
        assert (len(ids), len(set(ids))) == (12_000, 12_000)
    far.unlink()
    far.with_name("gone").rename(far)
    assert write_journal(archive, catch_up=True).behind == ()
    ids = [r.event.id for r in read_journal(archive.repositories[1].store) if r.event]
    assert (len(ids), len(set(ids))) == (12_000, 12_000)


def test_what_cannot_be_kept_is_not_deleted(archive: Archive, aip: str, monkeypatch) -> None:
    """A full quarantine leaves the stray object and the rotten one where they are, and says so."""
    stray = _place(archive, "one", aip) / "v1/content/stray.bin"
    stray.write_bytes(b"evidence" * 1000)
    _rot(next(_place(archive, "one", aip).rglob("a.txt")))
    import pipeline.holdings.quarantine as module

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "os", SimpleNamespace(fsync=full))
    results = [r for r in audit(archive, _budget(archive, repair=True)) if r.seen.store == "one"]
    monkeypatch.undo()
    (result,) = results
    assert result.state is CopyState.DAMAGED
    assert result.repaired is not None and result.repaired.unrepaired_count == 2
    assert any("cannot be kept" in reason for reason in result.repaired.reasons)
    assert stray.read_bytes() == b"evidence" * 1000
    assert next(_place(archive, "one", aip).rglob("a.txt")).read_bytes() == b"HELLO"
    assert not [path for path in (_home(archive) / "quarantine").rglob("*") if path.is_file()]
    assert {r.state for r in audit(archive, _budget(archive, repair=True))} == {CopyState.VERIFIED}
    kept = {path.name for path in (_home(archive) / "quarantine").rglob("*") if path.is_file()}
    assert kept == {"stray.bin", "a.txt"}


# -- history ----------------------------------------------------------------------------------------


def test_stored_stays_stored(archive: Archive, make_bag, agreement) -> None:
    """Sent again it is a duplicate, which is told to its sender and takes nothing back."""
    sip = make_bag({"a.txt": b"hello"})
    first, second = ingest(sip, agreement, archive), ingest(sip, agreement, archive)
    assert (first.outcome, second.outcome) == ("stored", "duplicate")
    (row,) = archive.catalogue.submissions.latest()
    assert row.outcome == "stored"
    attempts = archive.catalogue.submissions.attempts(row.id)
    assert [(one.number, one.outcome) for one in attempts] == [(1, "stored"), (2, "duplicate")]
    assert all(Path(one.receipt).exists() for one in attempts)


def test_what_a_person_took_in_the_night_knows(archive: Archive, tmp_path: Path) -> None:
    """Also when it lay in the drop box: no second receipt, no duplicate."""
    settings = load_settings(_home(archive))
    agreed = choose_agreement(settings, None)
    place = _home(archive) / "dropbox/office/sip"
    place.parent.mkdir()
    bag_builder(tmp_path)({"a.txt": b"hello"}).rename(place)
    assert ingest_now(archive, settings, place, agreed).outcome == "stored"
    intake = Intake(archive, {"dropbox": FolderBox(_home(archive) / "dropbox")}, ingest, lambda _: agreed)
    report = run_nightly(intake, NightlyLimits(quiet=0))
    assert (report.found, report.already_processed, report.outcomes) == (1, 1, {})
    assert len(list(archive.receipts.glob("*.json"))) == 1


def test_a_path_that_is_not_there_is_no_submission(archive: Archive, agreement, tmp_path: Path) -> None:
    """A typing error fails, says so, and leaves no alarm."""
    result = ingest(tmp_path / "mistyped", agreement, archive)
    assert result.outcome == "failed"
    assert "there is no file or folder" in result.reason
    assert archive.catalogue.submissions.latest() == []


def test_closed_records_leave_by_one_rule(archive: Archive, make_bag, agreement, tmp_path: Path) -> None:
    """An export asks as a DIP does, and what was answered is recorded before the first byte leaves."""
    closed = agreement.model_copy(
        update={"rights": agreement.rights.model_copy(update={"access": "closed"})}
    )
    if not closed.rights.closed_on(archive.clock().date()):
        pytest.skip("rights are written otherwise now")
    aip = str(ingest(make_bag({"a.txt": b"secret"}), closed, archive).aip)
    package = PackageId.parse(aip)
    with pytest.raises(AccessClosed):
        export_released(package, archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_released(package, archive, tmp_path / "out", release=Release("A. Clerk", "court order 7"))
    told = [e.detail for e in archive.catalogue.events.of(aip) if e.type == "dissemination"]
    assert told == ["closed records released as export by A. Clerk: court order 7"]
    journaled = [json.dumps(r.event.detail) for r in read_journal(archive.repositories[0].store) if r.event]
    assert any("court order 7" in line for line in journaled)


def test_normalising_many_skips_the_one_in_use(
    build: Builder, archive: Archive, aip: str, make_bag, agreement, monkeypatch
) -> None:
    """An AIP somebody else works on is left for another run; the others are normalised."""
    other = str(ingest(make_bag({"c.txt": b"other"}, name="other"), agreement, archive).aip)
    monkeypatch.setattr(normalisation, "WAIT_FOR_PERSON_S", 0.0)
    with leased_aip(build(), aip, "audit"):
        busy, done = normalisation.normalise(archive, [aip, other], person="A. Clerk", reason="policy")
    assert (busy.aip, done.aip, done.skipped) == (aip, other, "")
    assert "in use by audit" in busy.skipped
