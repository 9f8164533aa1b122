"""The power fails right after something was acknowledged: it is there, also without the catalogue.

Workspace and stores are on disks whose images are copied at the moment the command prints its answer.
Another process has the catalogue open meanwhile, as the dashboard has: else SQLite would write out its
log when the command closes it, and hide what was not durable before.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bag_builder import BagBuilder, bag_builder
from power_cut import Disks, require_loop_devices
from requirements import LONG

from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.holdings.journal import read_journal
from pipeline.ingest.run import ingest
from pipeline.preservation.rebuild import rebuild
from pipeline.preservation.removal import place_hold, request_removal
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace

_SETTINGS = """
[validate]
enabled = false
[[stores]]
kind = "files"
name = "one"
path = "../one/store"
[[stores]]
kind = "files"
name = "two"
path = "../two/store"
"""
_CAREFUL = """name = "careful"
two_people = true
[agency]
name = "County office"
[formats]
review = ["unknown"]
"""
_ALONE = _CAREFUL.replace("two_people = true\n", "").replace("careful", "alone")
_PERSON, _REASON = "A. Clerk", "case 12/26"
_SAID = ["--by", _PERSON, "--reason", _REASON]
_STELE = "from stele.cli.main import main; main()"


@dataclass
class Bench:
    """An archive on disks that can lose their power; every test acts on an AIP of its own."""

    disks: Disks
    build: BagBuilder
    aips: dict[str, str] = field(default_factory=dict)
    submissions: dict[str, str] = field(default_factory=dict)
    """Those in review: their numbers."""


@dataclass(frozen=True)
class Acknowledgement:
    """A command, and whether what it acknowledged is there: problems, given archive and workspace."""

    name: str
    words: Callable[[Bench], list[str]]
    problems: Callable[[Bench, Archive, Path], list[str]]
    only_catalogued: Callable[[Bench, Archive, Path], list[str]] = lambda *_: []
    """What a catalogue that was rebuilt cannot know (docs/howto/when-something-is-lost.md)."""


def _empty(home: Path, pattern: str) -> list[str]:
    """A document of the workspace that is not there, or has no bytes."""
    found = [path for path in (home / "receipts").glob(pattern) if path.stat().st_size]
    return [] if found else [f"no {pattern} with more than 0 bytes in receipts"]


def _kept(archive: Archive, aip: str, version: str) -> list[str]:
    row = archive.catalogue.aips.get(aip)
    problems = [] if row and (row.state, row.version) == ("kept", version) else [f"catalogue: {row}"]
    copies = {copy.store: copy.version for copy in archive.catalogue.copies.of(aip)}
    if copies != {"one": version, "two": version}:
        problems.append(f"copies: {copies}")
    return problems


def _stored(bench: Bench, archive: Archive, home: Path) -> list[str]:
    (urn,) = [row.id for row in archive.catalogue.aips.all() if row.external_identifier == "stored"] or [""]
    receipts = _empty(home, "stored-*-stored.md") + _empty(home, "stored-*-stored.json")
    return _kept(archive, urn, "v1") + receipts


def _is_held(name: str) -> Callable[[Bench, Archive, Path], list[str]]:
    def problems(bench: Bench, archive: Archive, _home: Path) -> list[str]:
        hold = archive.catalogue.holds.get(bench.aips[name])
        wanted = hold is not None and (hold.person, hold.reason) == (_PERSON, _REASON)
        return [] if wanted else [f"hold: {hold}"]

    return problems


def _is_released(bench: Bench, archive: Archive, _home: Path) -> list[str]:
    hold = archive.catalogue.holds.get(bench.aips["release"])
    return [f"it still stands: {hold}"] if hold else []


def _was_asked_for(bench: Bench, archive: Archive, _home: Path) -> list[str]:
    details = [row.detail for row in archive.catalogue.events.of(bench.aips["request"])]
    found = any(_PERSON in detail and _REASON in detail for detail in details)
    return [] if found else [f"events: {details}"]


def _is_open(bench: Bench, archive: Archive, _home: Path) -> list[str]:
    request = archive.catalogue.removals.get(bench.aips["request"])
    return [] if request and request.requested_by == _PERSON else [f"request: {request}"]


def _is_removed(bench: Bench, archive: Archive, home: Path) -> list[str]:
    aip = bench.aips["remove"]
    problems = [] if aip in {row.id for row in archive.catalogue.aips.all("removed")} else ["no tombstone"]
    problems += ["kept again"] if aip in {row.id for row in archive.catalogue.aips.all()} else []
    problems += _empty(home, f"removal-{aip.rpartition(':')[2]}.md")
    for repository in archive.repositories:
        left = list(repository.store.list(f"{repository.layout.object_root(aip)}/"))
        problems += [f"{len(left)} objects in {repository.store.name}, first {left[0]}"] if left else []
    return problems


def _is_decided(name: str, verdict: str) -> Callable[[Bench, Archive, Path], list[str]]:
    def problems(bench: Bench, archive: Archive, _home: Path) -> list[str]:
        made = [
            (row.verdict, row.person) for row in archive.catalogue.decisions.of(bench.submissions[name])
        ]
        return [] if made == [(verdict, _PERSON)] else [f"decisions: {made}"]

    return problems


def _is_accepted(bench: Bench, archive: Archive, home: Path) -> list[str]:
    (urn,) = [row.id for row in archive.catalogue.aips.all() if row.external_identifier == "accept"] or [""]
    receipts = _empty(home, "accept-*-stored.md") + _empty(home, "accept-*-stored.json")
    return _is_decided("accept", "accept")(bench, archive, home) + _kept(archive, urn, "v1") + receipts


def _is_rejected(bench: Bench, archive: Archive, home: Path) -> list[str]:
    receipts = _empty(home, "reject-*-rejected.md") + _empty(home, "reject-*-rejected.json")
    return _is_decided("reject", "reject")(bench, archive, home) + receipts


def _has_outcome(name: str, outcome: str) -> Callable[[Bench, Archive, Path], list[str]]:
    def problems(bench: Bench, archive: Archive, _home: Path) -> list[str]:
        row = archive.catalogue.submissions.get(bench.submissions[name])
        return [] if row and row.outcome == outcome else [f"submission: {row and row.outcome}"]

    return problems


def _is_updated(bench: Bench, archive: Archive, _home: Path) -> list[str]:
    return _kept(archive, bench.aips["update"], "v2")


def _is_audited(_bench: Bench, archive: Archive, _home: Path) -> list[str]:
    """Every copy that is kept was read: each store's journal says so, and the catalogue when."""
    problems = []
    kept = {(row.id, name) for row in archive.catalogue.aips.all() for name in archive.store_names}
    for repository in archive.repositories:
        records = read_journal(repository.store)
        told = {
            (record.aip, record.event.store)
            for record in records
            if record.event is not None and record.event.detail.startswith("verified: ")
        }
        lacking = kept - told
        problems += (
            [f"{len(lacking)} copies not in the journal of {repository.store.name}"] if lacking else []
        )
    for aip, name in sorted(kept):
        copy = archive.catalogue.copies.get(aip, name)
        if copy is None or copy.state != "verified" or not copy.verified:
            problems.append(f"{aip} in {name}: {copy and copy.state}")
    return problems


ACKNOWLEDGEMENTS = (
    Acknowledgement("stored", lambda bench: ["ingest", str(_bag(bench, "stored"))], _stored),
    Acknowledgement("hold", lambda bench: ["aip", "hold", bench.aips["hold"], *_SAID], _is_held("hold")),
    Acknowledgement("release", lambda bench: ["aip", "release", bench.aips["release"], *_SAID], _is_released),
    Acknowledgement(
        "removal requested", lambda bench: ["aip", "remove", bench.aips["request"], *_SAID], _was_asked_for,
        _is_open,
    ),
    Acknowledgement(
        "removal approved",
        lambda bench: ["aip", "remove", bench.aips["remove"], "--by", "B. Archivist", "--approve"],
        _is_removed,
    ),
    Acknowledgement(
        "decision of the first of two",
        lambda bench: ["review", "decide", bench.submissions["first"], "accept", *_SAID],
        _is_decided("first", "accept"), _has_outcome("first", "in-review"),
    ),
    Acknowledgement(
        "accepted", lambda bench: ["review", "decide", bench.submissions["accept"], "accept", *_SAID],
        _is_accepted, _has_outcome("accept", "stored"),
    ),
    Acknowledgement(
        "rejected", lambda bench: ["review", "decide", bench.submissions["reject"], "reject", *_SAID],
        _is_rejected, _has_outcome("reject", "rejected"),
    ),
    Acknowledgement(
        "update",
        lambda bench: ["aip", "update", bench.aips["update"], "--representation", str(_folder(bench)), *_SAID],
        _is_updated,
    ),
    Acknowledgement("audit", lambda _: ["audit", "--all"], _is_audited),
)  # fmt: skip


def _bag(bench: Bench, name: str, *, odd: bool = False) -> Path:
    content = {"a.txt": f"text of {name}".encode(), "b.bin": name.encode() * 3000}
    return bench.build({"odd.qqq": b"\1\2" + name.encode(), **content} if odd else content, name=name)


def _folder(bench: Bench) -> Path:
    return bench.build({"new.txt": b"a new file"}, name="new") / "data"


_LAYOUTS = {"three disks": ["home", "one", "two"], "one disk": [""]}
_TESTED = list(_LAYOUTS)[: 2 if LONG else 1]


@pytest.fixture(scope="module", params=_TESTED)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Workspace and stores on a disk each, so that none is made durable by the way; or all on one."""
    folder = tmp_path_factory.mktemp("power")
    require_loop_devices(tmp_path_factory.mktemp("tried"))
    disks = Disks(folder, _LAYOUTS[request.param])
    try:
        made = Bench(disks, bag_builder(folder))
        _fill(made)
        yield made
    finally:
        disks.close()


def _fill(bench: Bench) -> None:
    home = bench.disks.root / "home"
    make_workspace(home)
    (home / "stele.toml").write_text(_SETTINGS)
    (home / "agreements/careful.toml").write_text(_CAREFUL)
    (home / "agreements/alone.toml").write_text(_ALONE)
    settings = load_settings(home)
    archive = build_archive(settings)
    for name in ("hold", "release", "request", "remove", "update"):
        done = ingest(_bag(bench, name), choose_agreement(settings, None), archive)
        assert done.outcome == "stored" and done.aip, done.reason
        bench.aips[name] = done.aip
    for name, agreement in (("first", "careful"), ("accept", "alone"), ("reject", "alone")):
        done = ingest(_bag(bench, name, odd=True), choose_agreement(settings, agreement), archive)
        assert done.outcome == "in-review", done
        (waiting,) = [
            row.id
            for row in archive.catalogue.submissions.latest(["in-review"])
            if Path(row.subject).name == name
        ]
        bench.submissions[name] = waiting
    place_hold(archive, bench.aips["release"], reason="a court asks for it", person=_PERSON)
    request_removal(archive, bench.aips["remove"], reason="list 4", person=_PERSON)
    archive.catalogue.close()


@pytest.mark.parametrize("name", [one.name for one in ACKNOWLEDGEMENTS])
def test_power_cut_after_an_acknowledgement(name: str, bench: Bench) -> None:
    """What was acknowledged is there after a power cut, and still when the catalogue is lost as well."""
    told = next(one for one in ACKNOWLEDGEMENTS if one.name == name)
    _say_and_cut(bench, told)
    problems = []
    with bench.disks.after_cut() as root:
        home = root / "home"
        with _opened(home) as archive:
            found = told.problems(bench, archive, home) + told.only_catalogued(bench, archive, home)
            found += _not_intact(archive)
        problems += [f"after the power cut: {what}" for what in found]
        for path in home.glob("catalogue.sqlite*"):
            path.unlink()
        with _opened(home) as archive:
            found = [f"{one.store} {one.subject}: {one.problem}" for one in rebuild(archive) if one.problem]
            found += told.problems(bench, archive, home)
        problems += [f"with the catalogue rebuilt: {what}" for what in found]
    assert not problems, "\n".join(problems)


@contextmanager
def _opened(home: Path) -> Iterator[Archive]:
    archive = build_archive(load_settings(home))
    try:
        yield archive
    finally:
        archive.catalogue.close()


def _not_intact(archive: Archive) -> list[str]:
    reports = verify_archive(archive, None)
    return [
        f"{one.object} in {one.store}: {one.outcome} {sorted({p.code for p in one.problems})}"
        for one in reports
        if one.outcome != "intact"
    ]


def _say_and_cut(bench: Bench, told: Acknowledgement) -> None:
    """Run a command; the moment it prints its first line the images are copied."""
    home = bench.disks.root / "home"
    words = [sys.executable, "-c", _STELE, *told.words(bench), "--home", str(home)]
    bench.disks.flush()
    with closing(sqlite3.connect(home / "catalogue.sqlite")) as dashboard:
        dashboard.execute("SELECT count(*) FROM aip").fetchone()
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
        ) as process:  # fmt: skip
            assert process.stdout is not None
            line = process.stdout.readline()
            if line:
                process.send_signal(signal.SIGSTOP)
                bench.disks.copy_images()
                process.send_signal(signal.SIGCONT)
            rest, errors = process.communicate(timeout=60)
    assert line and process.returncode == 0, (line + rest + errors).decode()
