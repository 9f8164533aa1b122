"""Two operations at once on one AIP, from two machines: every ordered pair of ten, and nothing is lost.

The first runs on machine A and is stopped in the middle, in a call to one of its stores, while it holds
the AIP's lease (a legal hold takes none here; it is stopped while it writes the journal). The second runs
to its end on machine B, which cannot see A's processes. Then the first resumes, and what could not end is
run again. What the second one did must be what docs/reference/two-at-once.md says; with STELE_WRITE_DOCS=1
that page is written anew. ``python test_two_at_once.py HOME`` is a machine A in a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from bag_builder import bag_builder
from requirements import unavailable
from unidentified import Unidentified

import pipeline.preservation.normalise as normalisation
import storage.files.store
from packages.identifiers import PackageId
from pipeline.archive import Archive
from pipeline.checking.stores import verify_archive
from pipeline.errors import PipelineError
from pipeline.holdings.journal import read_journal
from pipeline.ingest.run import ingest
from pipeline.preservation.added_representation import Derived
from pipeline.preservation.audit import AuditBudget, AuditResult, audit
from pipeline.preservation.rebuild import rebuild
from pipeline.preservation.reconcile import Difference, DifferenceKind, reconcile, sweep
from pipeline.preservation.removal import (
    approve_removal,
    lift_hold,
    place_hold,
    refuse_removal,
    request_removal,
)
from pipeline.preservation.removal_history import hold_of
from pipeline.preservation.replicate import replicate
from pipeline.preservation.update import Change, update_aip
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace
from storage.catalogue import Catalogue, ProcessRuntime, current_owner
from storage.errors import Busy, StorageError
from storage.files.store import FileStore
from storage.ocfl.repository import OcflRepository
from storage.ocfl.scan import root_of_key
from storage.protocol import ListsFolders, Progress, Upload
from storage.states import CopyState

_REPOSITORY = Path(__file__).parents[2]
_PAGE = _REPOSITORY / "docs/reference/two-at-once.md"
_WRITE_PAGE = os.environ.get("STELE_WRITE_DOCS") == "1"
_TIMEOUT_S = 60.0
_JOURNAL = "extensions/stele-journal/"
_CONTENT = {"a.txt": b"first", "b/b.bin": bytes(3000)}
_SETTINGS = """
archivematica_mets_max_files = 0
[validate]
enabled = false
[[stores]]
kind = "files"
name = "one"
path = "one"
[[stores]]
kind = "files"
name = "two"
path = "two"
"""

# -- stopping an operation in the middle ------------------------------------------------------------


@dataclass(frozen=True)
class _Moment:
    """The call to a store at which an operation stops: the ``nth`` of these on a key with ``part`` in it."""

    store: str
    calls: tuple[str, ...]
    part: str = "/v1/"
    nth: int = 1


class _Stop:
    """Stops whoever makes the call of a moment, once, until ``wait`` returns."""

    def __init__(self, wait: Callable[[str], None]) -> None:
        self._wait = wait
        self._lock = threading.Lock()
        self._moment: _Moment | None = None
        self._seen = 0

    def arm(self, moment: _Moment | None) -> None:
        """Stop at this moment; None: at none."""
        self._moment, self._seen = moment, 0

    def called(self, store: str, call: str, key: str) -> None:
        """Told of every call before it is made."""
        with self._lock:
            moment = self._moment
            if moment is None or store != moment.store or call not in moment.calls:
                return
            self._seen += moment.part in key
            if self._seen < moment.nth:
                return
            self._moment = None
        self._wait(key)


class _Cut(BaseException):
    """As if the process were gone."""


def _cut(key: str) -> None:
    raise _Cut(key)


class _StoppedStore(FileStore):
    """A store in a folder of which each call that reads or writes an object is told to a ``_Stop`` first."""

    def __init__(self, root: Path, name: str, stop: _Stop) -> None:
        super().__init__(root, name)
        self._stop = stop

    def put(self, uploads: Iterable[Upload], progress: Progress | None = None) -> None:
        def told() -> Iterator[Upload]:
            for upload in uploads:
                self._stop.called(self.name, "put", upload.key)
                yield upload

        super().put(told(), progress)

    def replace(self, upload: Upload) -> None:
        self._stop.called(self.name, "replace", upload.key)
        super().replace(upload)

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        self._stop.called(self.name, "open", key)
        return super().open(key)

    def size(self, key: str) -> int | None:
        self._stop.called(self.name, "size", key)
        return super().size(key)

    def delete(self, key: str) -> None:
        self._stop.called(self.name, "delete", key)
        super().delete(key)


class _Clock:
    """Moves a second each time it is looked at, from a little ahead of the files' own times."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            self._now += timedelta(seconds=1)
            return self._now


def _built(home: Path) -> Archive:
    """The components that all machines share; each has a catalogue and stores of its own."""
    built = build_archive(load_settings(home))
    built.catalogue.close()
    return replace(built, tools=replace(built.tools, identifier=Unidentified()))  # type: ignore[arg-type]


def _opened(built: Archive, clock: _Clock, runtime: ProcessRuntime, stop: _Stop | None = None) -> Archive:
    """An archive as one process on one machine sees it."""
    home = built.work.parent
    stores = tuple(
        replace(
            one, repository=OcflRepository(
                _StoppedStore(home / one.name, one.name, stop or _Stop(_cut)), scratch=built.work
            ),
        )
        for one in built.stores
    )  # fmt: skip
    catalogue = Catalogue(load_settings(home).catalogue_url, runtime)
    return replace(built, catalogue=catalogue, stores=stores, clock=clock)


def _runtime(machine: str, sleep: Callable[[float], None] = time.sleep) -> ProcessRuntime:
    """A process of a machine from which no process of another machine can be seen."""
    return ProcessRuntime(lambda: f"{machine}:11:1", lambda _: False, time.time, time.monotonic, sleep)


# -- the operations ---------------------------------------------------------------------------------


_GONE = ("has no AIP", "no store holds an AIP", "has removed these records before")
"""What is said of an AIP that was removed, or never came."""


@dataclass
class _Case:
    """One AIP, and what has been said of it to those who asked."""

    home: Path
    sip: Path
    aip: str = ""
    versions: list[str] = field(default_factory=list)
    """Those that were acknowledged."""
    held: bool = False
    removed: bool = False
    files: set[str] = field(default_factory=set)
    """What the newest version must have besides what was ingested: ends of logical paths."""

    def as_json(self) -> dict[str, str]:
        """What another process needs of it."""
        return {"home": str(self.home), "sip": str(self.sip), "aip": self.aip}


@dataclass(frozen=True)
class _Did:
    """What an operation did; ``letter`` as in the legend of the page."""

    letter: str
    text: str
    versions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    held: bool = False
    removed: bool = False

    @classmethod
    def of(cls, facts: dict[str, Any]) -> _Did:
        """As another process told it."""
        return cls(**{**facts, "versions": tuple(facts["versions"]), "files": tuple(facts["files"])})

    def note(self, case: _Case) -> None:
        """Remember what was said."""
        case.versions += self.versions
        case.files |= set(self.files)
        case.held |= self.held
        case.removed |= self.removed


_Operation = Callable[[Archive, _Case, str, float], _Did]


def _ingest(archive: Archive, case: _Case, _: str, __: float) -> _Did:
    result = ingest(case.sip, choose_agreement(load_settings(case.home), None), archive)
    if result.outcome in ("failed", "in-review"):
        return _Did("R", f"{result.outcome}: {result.reason}")
    assert result.aip is not None, result
    case.aip = result.aip
    return _Did("G", f"{result.outcome}, {result.version}", versions=(str(result.version),))


def _update(archive: Archive, case: _Case, who: str, wait_s: float) -> _Did:
    """Each of the two adds a metadata file of its own."""
    metadata = case.sip.parent / f"{who}.xml"
    metadata.write_text(f'<r xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{who}</dc:title></r>')
    change = Change(f"found by the {who}", f"{who} clerk", metadata=(metadata,))
    done = update_aip(case.aip, change, archive, wait_s=wait_s)
    file = f"/metadata/descriptive/{metadata.name}"
    return _Did("G", f"made {done.version}", versions=(done.version,), files=(file,))


def _budget(archive: Archive) -> AuditBudget:
    return AuditBudget(timedelta(days=90), 1 << 40, 1 << 40, 1e9, True, archive.quarantine, everything=True)


def _audit(archive: Archive, case: _Case, _: str, __: float) -> _Did:
    def told(one: AuditResult) -> str:
        repaired = f", repaired: {one.state}" if one.repaired else ""
        return f"{one.seen.store}: {one.seen.state}{repaired}{one.seen.reason}"

    seen = [result for result in audit(archive, _budget(archive)) if result.seen.object_id == case.aip]
    return _answer([result.skipped for result in seen], [told(one) for one in seen], "no copy is due")


def _replicate(archive: Archive, case: _Case, _: str, __: float) -> _Did:
    done = [one for one in replicate(archive) if one.aip == case.aip]
    told = [f"copied to {one.store}" if one.made else one.reason for one in done]
    return _answer([one.reason if one.skipped else "" for one in done], told, "no copy is to be made")


def _remove(archive: Archive, case: _Case, who: str, wait_s: float) -> _Did:
    """Approved; asked for as well where nobody has done that before."""
    row = archive.catalogue.aips.get(case.aip)
    if row is not None and row.state == "kept" and archive.catalogue.removals.get(case.aip) is None:
        request_removal(archive, case.aip, reason="list 4", person="A. Clerk")
    done = approve_removal(archive, case.aip, person=f"{who} archivist", wait_s=wait_s)
    assert done.certificate.stat().st_size > 0
    return _Did("G", "removed", removed=True)


def _hold(archive: Archive, case: _Case, who: str, wait_s: float) -> _Did:
    placed = place_hold(archive, case.aip, reason="case 7", person=f"{who} court", wait_s=wait_s)
    assert placed.untold == ()
    return _Did("G", "the hold stands", held=True)


def _sweep(archive: Archive, case: _Case, _: str, __: float) -> _Did:
    return _differences(archive, case, sweep(archive, timedelta(), remove=True), "nothing to sweep")


def _reconcile(archive: Archive, case: _Case, _: str, __: float) -> _Did:
    return _differences(archive, case, reconcile(archive), "catalogue and storage agree")


def _differences(archive: Archive, case: _Case, found: Iterator[Difference], nothing: str) -> _Did:
    root = archive.repositories[0].layout.object_root(case.aip)
    mine = [one for one in found if one.subject in (case.aip, root)]
    busy = [str(one.kind) if one.kind is DifferenceKind.IN_USE else "" for one in mine]
    return _answer(busy, [f"{one.store}: {one.kind}" for one in mine], nothing)


def _rebuild(archive: Archive, case: _Case, _: str, __: float) -> _Did:
    root = archive.repositories[0].layout.object_root(case.aip)
    mine = [one for one in rebuild(archive) if one.subject in (case.aip, root)]
    told = [f"{one.store}: {one.problem or 'registered'}" for one in mine]
    left = [one.problem if "left for another run" in one.problem else "" for one in mine]
    return _answer(left, told, "no copy is committed in any store")


def _normalise(archive: Archive, case: _Case, _: str, wait_s: float) -> _Did:
    """With a converter that costs nothing; see ``_fake_converter``."""
    normalisation.WAIT_FOR_PERSON_S = wait_s
    (done,) = normalisation.normalise(archive, [case.aip], person="format policy", reason="policy 2026")
    assert done.failed == ()
    if done.skipped:
        return _Did("W", done.skipped)
    if not done.version:
        return _Did("N", "what the policy wants is made already")
    return _Did(
        "G", f"made {done.version}", versions=(done.version,),
        files=("/representations/preservation-1/data/a.txt.txt",),
    )  # fmt: skip


def _answer(skipped: list[str], told: list[str], nothing: str) -> _Did:
    """Skipped where anything of the AIP was left for another run; not concerned where it has no part."""
    left = sorted({one for one in skipped if one})
    if left:
        return _Did("S", "; ".join(left))
    return _Did("G", "; ".join(told)) if told else _Did("N", nothing)


_OPERATIONS: dict[str, _Operation] = {
    "ingest": _ingest, "update": _update, "audit": _audit, "replicate": _replicate, "remove": _remove,
    "hold": _hold, "sweep": _sweep, "reconcile": _reconcile, "rebuild": _rebuild, "normalise": _normalise,
}  # fmt: skip
_NAMES = tuple(_OPERATIONS)
_PURPOSES = {
    "ingest": "ingest of sip", "update": "update", "audit": "audit", "replicate": "replication",
    "remove": "removal", "hold": None, "sweep": "sweep", "reconcile": "reconciliation",
    "rebuild": "rebuild", "normalise": "normalisation",
}  # fmt: skip
"""What the first operation's lease is for while it is stopped; a hold has none."""
_WAITS = {"update", "remove", "hold", "normalise"}
"""What a person starts: it waits for a lease before it gives up."""


def _do(name: str, archive: Archive, case: _Case, who: str, wait_s: float = 0.0) -> _Did:
    """Carry an operation out; what it raises for its caller to read is an answer too."""
    try:
        return _OPERATIONS[name](archive, case, who, wait_s)
    except Busy as error:
        return _Did("W" if name in _WAITS else "R", str(error))
    except (PipelineError, StorageError) as error:
        return _Did("R", str(error))


def _fake_converter(
    _: Archive, reader: Any, __: Path, target: Path
) -> tuple[dict[str, Derived], list[str]]:
    """What converters do, in no time: one text file, made once."""
    prefix = f"data/{reader.package.objid}/representations/preservation-1/"
    if any(True for _ in reader.inventory.below(prefix)):
        return {}, []
    (target / "a.txt.txt").write_bytes(b"first, converted")
    return {"a.txt.txt": Derived("a.txt", "converter 1", "compared")}, []


# -- what there is to do ----------------------------------------------------------------------------

_MISSING, _ROTTEN, _NO_INVENTORY, _NOT_COMMITTED, _NEW = "missing", "rotten", "no inventory", "rest", "new"


def _state_before(first: str, second: str) -> str:
    """What is wrong with the copy in store two, so that both operations have something to do."""
    pair = {first, second}
    if first in ("ingest", "sweep"):
        return _NEW if first == "ingest" else _NOT_COMMITTED
    if first in ("update", "normalise"):  # they need two good copies to begin
        return _ROTTEN if second == "audit" else ""
    if second == "sweep" and first in ("hold", "reconcile", "rebuild"):
        return _NO_INVENTORY
    if pair & {"replicate", "reconcile"} or (first, second) == ("audit", "sweep"):
        return _MISSING
    return _ROTTEN if "audit" in pair else ""


def _moment(first: str, before: str) -> _Moment:
    """Where the first operation is stopped: always between two writes, or two reads."""
    writes = ("put", "replace")
    return {
        "ingest": _Moment("two", writes, nth=3),  # committed in store one, not in two
        "update": _Moment("two", writes, "/v2/"),  # committed in store one, not in two
        "audit": _Moment("two", writes, nth=3 if before == _MISSING else 1),  # of the repair
        "replicate": _Moment("two", writes, nth=3),
        "remove": _Moment("one", ("delete",), nth=3),  # store two has all of it still
        "hold": _Moment("one", ("replace",), _JOURNAL),  # in the catalogue, in no journal
        "sweep": _Moment("one", ("delete",), nth=3),
        "reconcile": _Moment("two", ("size",), "/inventory.json"),
        "rebuild": _Moment("one", ("open",), "/premis.xml"),
        "normalise": _Moment("two", writes, "/v2/"),
    }[first]


def _prepare(archive: Archive, stop: _Stop, case: _Case, first: str, second: str) -> str:
    """Make the AIP and what there is to do for both operations; the state of the copy in store two."""
    before = _state_before(first, second)
    if before == _NOT_COMMITTED:  # content in store one that nothing vouches for
        stop.arm(_Moment("one", ("put",), nth=8))
        with pytest.raises(_Cut) as cut:
            _do("ingest", archive, case, "archivist")
        case.aip = archive.repositories[0].layout.object_id(root_of_key(str(cut.value))) or ""
    if before in (_NOT_COMMITTED, _NEW):
        return before
    _do("ingest", archive, case, "archivist").note(case)
    if "remove" in (first, second):
        request_removal(archive, case.aip, reason="list 4", person="A. Clerk")
    place = case.home / "two" / archive.repositories[0].layout.object_root(case.aip)
    if before == _MISSING:
        shutil.rmtree(place)
        copy = archive.catalogue.copies.get(case.aip, "two")
        if "replicate" in (first, second) and copy is not None:
            archive.catalogue.copies.put(replace(copy, state="missing", detail="a disk was lost"))
    elif before == _NO_INVENTORY:
        (place / "inventory.json").unlink()
    elif before == _ROTTEN:
        file = next(place.rglob("a.txt"))
        file.chmod(0o644)
        file.write_bytes(b"rotten")
    return before


# -- machine A: a thread, or a process elsewhere ----------------------------------------------------


class _FirstInThread:
    """Machine A as a thread: its catalogue belongs to a process of a machine that is not this one."""

    def __init__(self, built: Archive, clock: _Clock) -> None:
        self._reached, self._may_go = threading.Event(), threading.Event()
        self._stop = _Stop(self._wait)
        self._archive = _opened(built, clock, _runtime("machine-a"), self._stop)
        self._thread: threading.Thread | None = None
        self._did: _Did | None = None
        self._error: BaseException | None = None

    def _wait(self, _: str) -> None:
        self._reached.set()
        if not self._may_go.wait(_TIMEOUT_S):
            raise _Cut

    def start(self, name: str, case: _Case, moment: _Moment) -> None:
        """Begin an operation; returns when it is stopped at the moment."""
        self._reached.clear()
        self._may_go.clear()
        self._did, self._error = None, None
        self._stop.arm(moment)
        self._thread = threading.Thread(target=self._run, args=(name, case))
        self._thread.start()
        while not self._reached.wait(0.05):
            assert self._thread.is_alive(), (
                f"{name} ended before it was stopped: {self._did or self._error}"
            )

    def _run(self, name: str, case: _Case) -> None:
        try:
            self._did = _do(name, self._archive, case, "first")
        except BaseException as error:
            self._error = error

    def finish(self) -> _Did:
        """Let it go; what it did. Twice is harmless."""
        self._may_go.set()
        if self._thread is not None:
            self._thread.join(_TIMEOUT_S)
            assert not self._thread.is_alive(), "the first operation hangs"
        if self._error is not None:
            raise self._error
        assert self._did is not None
        return self._did

    def again(self, name: str, case: _Case) -> _Did:
        """The same once more, not stopped."""
        self._stop.arm(None)
        return _do(name, self._archive, case, "first", _TIMEOUT_S)

    def close(self) -> None:
        self._may_go.set()
        if self._thread is not None:
            self._thread.join(_TIMEOUT_S)
        self._archive.catalogue.close()


class _FirstElsewhere:
    """Machine A as a process with process ids of its own: nobody here can see whether it lives."""

    def __init__(self, home: Path) -> None:
        paths = os.pathsep.join([str(_REPOSITORY), str(_REPOSITORY / "tests")])
        alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._process = subprocess.Popen(
            [*alone, sys.executable, __file__, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip
        self._did: _Did | None = None
        self.owner = str(self._told()["owner"])

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process of machine A died"
        return dict(json.loads(line))

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def start(self, name: str, case: _Case, moment: _Moment) -> None:
        """Begin an operation; returns when it is stopped at the moment."""
        self._did = None
        self._say(json.dumps({"name": name, "case": case.as_json(), "moment": asdict(moment)}))
        told = self._told()
        assert "stopped" in told, f"{name} was not stopped: {told}"

    def finish(self) -> _Did:
        """Let it go; what it did. Twice is harmless."""
        if self._did is None:
            self._say("go")
            self._did = _Did.of(self._told()["did"])
        return self._did

    def again(self, name: str, case: _Case) -> _Did:
        """The same once more, not stopped."""
        self._say(json.dumps({"name": name, "case": case.as_json(), "moment": None}))
        return _Did.of(self._told()["did"])

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def _serve(home: Path) -> None:
    """Machine A in a process of its own: a line of JSON for each operation, “go” when it is stopped."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what somebody prints is no answer

    def say(**facts: object) -> None:
        answers.write(json.dumps(facts) + "\n")
        answers.flush()

    def wait(key: str) -> None:
        say(stopped=key)
        if sys.stdin.readline() != "go\n":
            os._exit(1)

    _cheap(pytest.MonkeyPatch())
    stop = _Stop(wait)
    archive = _opened(_built(home), _Clock(), ProcessRuntime.real(), stop)
    say(owner=current_owner())
    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        facts = asked["case"]
        case = _Case(Path(facts["home"]), Path(facts["sip"]), facts["aip"])
        moment = asked["moment"]
        stop.arm(_Moment(**{**moment, "calls": tuple(moment["calls"])}) if moment else None)
        wait_s = 0.0 if moment else _TIMEOUT_S
        say(did=asdict(_do(asked["name"], archive, case, "first", wait_s)))
    archive.catalogue.close()


# -- a cell -----------------------------------------------------------------------------------------


class _Bench:
    """A workspace with two machines and somebody who prepares and judges."""

    def __init__(self, built: Archive, clock: _Clock, first: Any, second_runtime: ProcessRuntime) -> None:
        self.home = built.work.parent
        self.first: _FirstInThread | _FirstElsewhere = first
        self.second = _opened(built, clock, replace(second_runtime, sleep=self._sleep))
        self._cut = _Stop(_cut)
        self.before = _opened(built, clock, _runtime("machine-c"), self._cut)
        self.judge = _opened(built, clock, _runtime("machine-d"))
        self._number = 0

    def _sleep(self, seconds: float) -> None:
        """How the second one waits for a lease: the first ends meanwhile."""
        self.first.finish()
        time.sleep(seconds / 20)

    def close(self) -> None:
        self.first.close()
        self.second.catalogue.close()
        self.before.catalogue.close()
        self.judge.catalogue.close()

    def run(self, first: str, second: str) -> _Did:
        """One cell; what the second operation did while the first was stopped."""
        try:
            return self._run(first, second)
        except BaseException as error:
            error.add_note(f"the first operation: {first}, the second: {second}")
            raise

    def _run(self, first: str, second: str) -> _Did:
        self._number += 1
        folder = self.home.parent / f"sip-{self._number}"
        case = _Case(self.home, bag_builder(folder)({**_CONTENT, "c.txt": f"{first} {second}".encode()}))
        before = _prepare(self.before, self._cut, case, first, second)
        self.first.start(first, case, _moment(first, before))
        self._require_stopped(first, case)
        known = self._known(case)
        did = _do(second, self.second, case, "second")
        did.note(case)
        self._require_stopped(first, case)
        assert did.letter == "G" or self._known(case) == known, "it changed what it said it leaves alone"
        if did.letter == "W":  # it gave up because it was told not to wait: now it may
            self._end(second, case, lambda: _do(second, self.second, case, "second", _TIMEOUT_S))
        self.first.finish().note(case)
        self._end(first, case, lambda: self.first.again(first, case), self.first.finish())
        self._end(second, case, lambda: _do(second, self.second, case, "second"), did)
        self._require_all_well(case, {"two"} if before in (_MISSING, _ROTTEN, _NO_INVENTORY) else set())
        self._put_away(case)
        return replace(did, text=self._plain(did.text, first, case))

    def _known(self, case: _Case) -> object:
        """All that the stores and the catalogue have of an AIP."""
        files = {
            path: path.read_bytes()
            for store in self.judge.stores
            for path in self._place(store.name, case).rglob("*")
            if path.is_file()
        }
        catalogue, aip = self.judge.catalogue, case.aip
        facts = (
            catalogue.aips.get(aip),
            catalogue.versions.of(aip),
            catalogue.copies.of(aip),
            catalogue.holds.get(aip),
        )
        return files, facts, catalogue.versions.planned(aip), catalogue.removals.get(aip)

    def _place(self, store: str, case: _Case) -> Path:
        return self.home / store / self.judge.repositories[0].layout.object_root(case.aip)

    def _require_stopped(self, first: str, case: _Case) -> None:
        """It has the lease; an ingest's AIP is known from there."""
        leases = self.judge.catalogue.leases.all()
        if _PURPOSES[first] is None:
            assert leases == ()
            return
        (lease,) = leases
        assert (lease.purpose, lease.live) == (_PURPOSES[first], True)
        case.aip = case.aip or lease.resource
        assert lease.resource == case.aip

    def _end(self, name: str, case: _Case, again: Callable[[], _Did], did: _Did | None = None) -> None:
        """Run an operation until it has ended: it did its work, or its answer is final."""
        for _ in range(3):
            if did is not None and self._has_ended(did, case):
                return
            if did is not None and "repair" in did.text:  # it says what to do first
                _do("audit", self.judge, case, "archivist")
            did = again()
            did.note(case)
        assert did is not None and self._has_ended(did, case), f"{name} does not end: {did}"

    def _has_ended(self, did: _Did, case: _Case) -> bool:
        if did.letter in "GN":
            return True
        row = self.judge.catalogue.aips.get(case.aip)
        if any(words in did.text for words in _GONE):
            return row is None or row.state == "removed"
        return "a hold stands" in did.text and case.held

    def _require_all_well(self, case: _Case, damaged: set[str]) -> None:
        """Nothing is lost of what was said to anybody, and no store damaged but for those that were before."""
        judge, catalogue = self.judge, self.judge.catalogue
        if catalogue.aips.get(case.aip) is None:  # nobody has ingested it yet
            did = _do("ingest", judge, case, "archivist")
            assert did.text == "stored, v1"
            did.note(case)
        results = list(audit(judge, _budget(judge)))
        assert {result.state for result in results} <= {CopyState.VERIFIED}
        assert {result.seen.store for result in results if result.repaired} <= damaged
        row = catalogue.aips.get(case.aip)
        assert row is not None
        reports = list(verify_archive(judge, PackageId.parse(case.aip)))
        if case.removed:
            assert not case.held, "a removal went on although a hold was said to stand"
            assert (row.state, {report.outcome for report in reports}) == ("removed", {"missing"})
            assert not any(self._place(store.name, case).exists() for store in judge.stores)
        else:
            newest = max(case.versions, key=lambda version: int(version[1:]))
            assert (row.state, row.version) == ("kept", newest)
            assert {(report.version, report.outcome) for report in reports} == {(newest, "intact")}
            assert len(catalogue.versions.of(case.aip)) == len(set(case.versions)), "one version each"
            self._require_files(case)
        if case.held:
            self._require_hold(case)
        assert list(reconcile(judge)) == []
        assert list(sweep(judge, timedelta(), remove=False)) == []
        assert catalogue.versions.all_planned() == ()
        assert catalogue.leases.all() == ()

    def _put_away(self, case: _Case) -> None:
        """So that the next cell's audits and listings are of its own AIP only."""
        self.judge.catalogue.aips.set_state(case.aip, "removed")
        for store in self.judge.stores:
            shutil.rmtree(self._place(store.name, case), ignore_errors=True)
            target = store.repository.store
            assert isinstance(target, ListsFolders)
            target.remove_empty_folders(f"{store.repository.layout.object_root(case.aip)}/")

    def _require_files(self, case: _Case) -> None:
        for repository in self.judge.repositories:
            with repository.inventory(case.aip) as inventory:
                logical = [entry.logical for entry in inventory.state()]
            missing = {end for end in case.files if not any(path.endswith(end) for path in logical)}
            assert not missing, f"{repository.store.name} lacks {missing}"

    def _require_hold(self, case: _Case) -> None:
        hold = self.judge.catalogue.holds.get(case.aip)
        assert hold is not None and hold.reason == "case 7", "a hold that was said to stand is gone"
        for repository in self.judge.repositories:
            events = (one for one in read_journal(repository.store) if one.aip == case.aip and one.event)
            held = [hold_of(one.event)[1] for one in events if one.event is not None]
            assert any(one is not None and one.reason == "case 7" for one in held), "it is not journaled"

    def _plain(self, text: str, first: str, case: _Case) -> str:
        """Without what is another on each run, and without the purpose, which is the first operation's."""
        root = self.judge.repositories[0].layout.object_root(case.aip)
        text = text.replace(case.aip, "AIP").replace(root, "AIP")
        text = text.replace(f"in use by {_PURPOSES[first]} (", "in use by PURPOSE (")
        text = re.sub(r"process \d+ on [^,]+,", "process N on HOST,", text)
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)


def _cheap(patch: pytest.MonkeyPatch) -> None:
    """No power is cut here, and no converter is needed."""
    patch.setattr(storage.files.store, "_SYNCFS", lambda _: 0)
    patch.setattr(os, "fsync", lambda _: None)
    patch.setattr(normalisation, "_converted", _fake_converter)
    patch.setattr(normalisation, "WAIT_FOR_PERSON_S", 0.0)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue with nothing in it: migrations take longer than a cell."""
    place = tmp_path_factory.mktemp("catalogue") / "catalogue.sqlite"
    catalogue = Catalogue(f"sqlite:///{place}")
    catalogue.migrate()
    catalogue.close()
    return place


@pytest.fixture
def home(
    tmp_path: Path, catalogue_url: str, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A workspace with two stores, in memory where there is a place for that: no disk is tested here."""
    _cheap(monkeypatch)
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="stele-", dir=memory if os.access(memory, os.W_OK) else tmp_path))
    place = folder / "home"
    make_workspace(place)
    url = catalogue_url
    if url.startswith("sqlite"):
        url = f"sqlite:///{shutil.copy(migrated, folder)}"
    (place / "stele.toml").write_text(f'catalogue = "{url}"\n{_SETTINGS}', "utf-8")
    yield place
    shutil.rmtree(folder)


@pytest.fixture
def bench(home: Path) -> Iterator[_Bench]:
    """Machine A is a thread here."""
    built, clock = _built(home), _Clock()
    made = _Bench(built, clock, _FirstInThread(built, clock), _runtime("machine-b"))
    yield made
    made.close()


# -- the page ---------------------------------------------------------------------------------------

_Seen = dict[tuple[str, str], tuple[str, str]]
"""Letter and text of each cell, by the first and the second operation."""
_LEGEND = {
    "W": "waits for the AIP's lease, up to 30 s, and then goes on; refused with the message where the first "
    "is still at work then",
    "R": "is refused at once with the message, and writes nothing",
    "S": "skips this AIP with the message and goes on with the next; its next run takes it",
    "G": "goes on at once",
    "N": "finds nothing of this AIP to work on, and leaves it alone",
}
_INTRODUCTION = """# Two operations at once on one AIP

Generated by `tests/integration/test_two_at_once.py`, which runs every pair on SQLite and on PostgreSQL and ten of them between processes that cannot see each other; do not edit. `STELE_WRITE_DOCS=1` writes it anew.
The first operation (rows) is stopped in the middle, between two reads or writes of a store; the second (columns) is started on another machine and runs to its end; then the first goes on.
Every operation that writes to an AIP or judges its copies holds its lease meanwhile (ADR 0014); a legal hold does not.
Whatever the pair: when both have ended, or were run again where a message says so, every version that was acknowledged is there, every copy is intact or repaired, a hold that was said to stand stands, and of a removed AIP nothing is left.
Exceptions that are known are the tests at the end of that file that are expected to fail.
"""
_PLACEHOLDERS = (
    "In messages `AIP` stands for the identifier, `N` and `HOST` for process and machine, `TIME` for a moment, "
    "and `PURPOSE` for what the first one has the lease for, by rows: "
)
_HEADING = "| | Message or answer | First → second | Why |"


def _why(first: str, second: str, letter: str, text: str) -> str:
    """Why the second one is right to do what it does."""
    if letter in "WS" or " is in use by " in text:
        return "The first one has the AIP's lease."
    if second == "hold" and letter == "R":
        return (
            "The AIP is not registered yet, so there is nothing to hold; again when the ingest has ended."
        )
    if second == "hold":
        return (
            "A legal hold is one transaction of the catalogue; only a removal that was begun keeps it out."
        )
    if first == "hold" and letter == "R":
        return "A hold stands as soon as the catalogue has it, before the journal is written."
    if first == "hold" and letter == "G":
        return "A legal hold takes no lease: it forbids the removal of the AIP and nothing else."
    if second == "sweep":
        return (
            "The catalogue keeps the AIP, so nothing of it is a leftover: neither what a new version has "
            "written so far, nor a copy that lost its root inventory."
        )
    if second == "reconcile":
        return (
            "The AIP is committed in both stores: what a new version has written so far is no difference."
        )
    if second == "rebuild":
        return "It registers only what is committed."
    if first == "remove":
        return "An AIP that is being removed is neither audited nor copied."
    return "The catalogue does not know the AIP yet."


def _render(seen: _Seen) -> str:
    """The page."""
    lines = [_INTRODUCTION]
    lines += [f"- **{letter}** {meaning}" for letter, meaning in _LEGEND.items()]
    lines += ["", f"| first ↓ second → | {' | '.join(_NAMES)} |", "|---" * (len(_NAMES) + 1) + "|"]
    for first in _NAMES:
        lines.append(f"| {first} | {' | '.join(seen[first, second][0] for second in _NAMES)} |")
    purposes = ", ".join(f"`{purpose}`" for purpose in _PURPOSES.values() if purpose)
    lines += ["", f"{_PLACEHOLDERS}{purposes}.", "", _HEADING, "|---|---|---|---|"]
    rows: dict[tuple[str, str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for letter in _LEGEND:
        for (first, second), (found, text) in seen.items():
            if found == letter:
                rows[letter, text, _why(first, second, letter, text)][first].append(second)
    for (letter, text, why), cells in rows.items():
        where = "; ".join(f"{first} → {', '.join(seconds)}" for first, seconds in cells.items())
        lines.append(f"| {letter} | `{text}` | {where} | {why} |")
    return "\n".join(lines) + "\n"


def _parse(page: str) -> _Seen:
    """What a page says of each cell."""
    told: _Seen = {}
    for line in page.partition(_HEADING)[2].splitlines()[2:]:
        letter, text, where, _ = (part.strip() for part in line.strip("|").split("|"))
        for row in where.split("; "):
            first, _, seconds = row.partition(" → ")
            told.update({(first, second): (letter, text.strip("`")) for second in seconds.split(", ")})
    return {(first, second): told[first, second] for first in _NAMES for second in _NAMES}


_SEEN: _Seen = {}


def _write(seen: _Seen) -> None:
    """Collect what both databases answer; the page is written once all cells were seen."""
    for cell, answer in seen.items():
        assert _SEEN.setdefault(cell, answer) == answer, f"{cell} is another on the other database"
    if len(_SEEN) == len(_NAMES) ** 2:
        _PAGE.write_text(_render({(a, b): _SEEN[a, b] for a in _NAMES for b in _NAMES}), "utf-8")


# -- the tests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", _NAMES)
def test_the_second_while_the_first_is_stopped(first: str, bench: _Bench) -> None:
    """It waits, is refused, skips the AIP or rightly goes on, as the page says; nothing is lost by it."""
    seen: _Seen = {}
    for second in _NAMES:
        did = bench.run(first, second)
        seen[first, second] = did.letter, did.text
    if _WRITE_PAGE:
        _write(seen)
    else:
        told = _parse(_PAGE.read_text("utf-8"))
        assert seen == {cell: answer for cell, answer in told.items() if cell[0] == first}


def test_the_page_is_what_would_be_written() -> None:
    """No word of it was changed by hand."""
    if _WRITE_PAGE:
        pytest.skip("it is being written")
    page = _PAGE.read_text("utf-8")
    assert _render(_parse(page)) == page


_PAIRS = {
    "ingest": "sweep", "update": "audit", "audit": "update", "replicate": "reconcile", "remove": "hold",
    "hold": "remove", "sweep": "ingest", "reconcile": "replicate", "rebuild": "normalise",
    "normalise": "rebuild",
}  # fmt: skip
"""Each operation once as the first and once as the second."""


def test_processes_that_cannot_see_each_other(home: Path) -> None:
    """The same where the first one is a process with process ids of its own, as in a container."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        unavailable("a process-id namespace needs root and unshare")
    first = _FirstElsewhere(home)
    bench = _Bench(_built(home), _Clock(), first, ProcessRuntime.real())
    try:
        assert first.owner.partition(":")[0] != current_owner().partition(":")[0]
        seen = {(one, two): bench.run(one, two) for one, two in _PAIRS.items()}
    finally:
        bench.close()
    if not _WRITE_PAGE:
        told = _parse(_PAGE.read_text("utf-8"))
        assert {cell: (did.letter, did.text) for cell, did in seen.items()} == {
            cell: told[cell] for cell in seen
        }


# -- what is known to be wrong: take the mark away with the fault -------------------------------------


_on_sqlite = pytest.mark.parametrize("catalogue_url", ["sqlite"], indirect=True)


def _held_before(bench: _Bench) -> _Case:
    """An AIP with a hold that was lifted, so that the journals say last that there is none."""
    case = _Case(bench.home, bag_builder(bench.home.parent / "held")(_CONTENT))
    _do("ingest", bench.before, case, "archivist").note(case)
    place_hold(bench.before, case.aip, reason="case 6", person="another court")
    lift_hold(bench.before, case.aip, reason="case closed", person="another court")
    return case


def _start_rebuild(bench: _Bench, case: _Case) -> None:
    """Stopped when it has listed all journals and opens the last; it reads them twice, store after store."""
    number = len(list((bench.home / "two" / _JOURNAL).rglob("*.jsonl")))
    bench.first.start("rebuild", case, _Moment("two", ("open",), _JOURNAL, nth=2 * number))


@_on_sqlite
def test_a_rebuild_leaves_a_hold_that_no_journal_has_yet(bench: _Bench) -> None:
    """A hold stands in the catalogue before a journal has it; a rebuild that comes between leaves it alone."""
    case = _held_before(bench)
    bench.first.start("hold", case, _moment("hold", ""))
    _do("rebuild", bench.second, case, "second")
    bench.first.finish().note(case)
    bench._require_hold(case)


@_on_sqlite
def test_a_rebuild_leaves_a_hold_that_was_placed_meanwhile(bench: _Bench) -> None:
    """A hold that was placed and journaled after the rebuild listed the journals stands afterwards."""
    case = _held_before(bench)
    _start_rebuild(bench, case)
    _do("hold", bench.second, case, "second").note(case)
    bench.first.finish()
    bench._require_hold(case)


@_on_sqlite
def test_a_rebuild_brings_back_no_hold_that_was_released_meanwhile(bench: _Bench) -> None:
    """A hold that was released after the rebuild listed the journals does not stand again."""
    case = _held_before(bench)
    _do("hold", bench.before, case, "first")
    _start_rebuild(bench, case)
    lift_hold(bench.second, case.aip, reason="case closed", person="second court", wait_s=0)
    bench.first.finish()
    assert bench.judge.catalogue.holds.get(case.aip) is None


@_on_sqlite
def test_a_rebuild_brings_back_no_request_that_was_refused_meanwhile(bench: _Bench) -> None:
    """A removal that was refused after the rebuild listed the journals cannot be approved afterwards."""
    case = _held_before(bench)
    request_removal(bench.before, case.aip, reason="list 4", person="A. Clerk")
    _start_rebuild(bench, case)
    refuse_removal(bench.second, case.aip, reason="still needed", person="B. Archivist")
    bench.first.finish()
    assert bench.judge.catalogue.removals.get(case.aip) is None


@_on_sqlite
def test_what_another_machine_swept_can_be_ingested_again(bench: _Bench) -> None:
    """A process whose interrupted ingest was swept by another machine ingests the same submission."""
    case = _Case(bench.home, bag_builder(bench.home.parent / "swept")(_CONTENT))
    _prepare(bench.before, bench._cut, case, "sweep", "ingest")
    _do("sweep", bench.second, case, "second")
    assert _do("ingest", bench.before, case, "first").text == "stored, v1"


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
