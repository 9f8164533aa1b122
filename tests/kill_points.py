"""Kill points: an operation runs in a forked child, and dies before its n-th change to anything.

A change is a call that changes a file or folder below the workspace, a commit of the catalogue, or a
request that changes a bucket. The children are forked from a process of its own that never has a
thread (``ForkServer``), so the tests' threads are not in them. fsync and syncfs are counted, not
carried out: SIGKILL loses nothing of what the kernel has.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

__all__ = ["PART_BYTES", "ForkServer", "Outcome"]

_TIMEOUT_S = 120
_ANY_AGE = timedelta(days=-1)  # also what was written in this very second
PART_BYTES = 1 << 16
"""Files of this size and more go to a bucket as multipart uploads here, so that small ones do."""


@dataclass(frozen=True)
class Outcome:
    """How an operation ended in its child: killed, with an answer, or with an error."""

    killed: bool
    answer: Any
    error: str
    points: tuple[str, ...]
    """The changes it made, in order, where they were asked for: ``call path``."""


class ForkServer:
    """The process that forks the children; one operation at a time."""

    def __init__(self) -> None:
        root = Path(__file__).parent.parent
        paths = os.pathsep.join([str(root), str(root / "tests"), *filter(None, sys.path)])
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )  # fmt: skip

    def run(
        self, operation: str, home: Path, *, kill_before: int = 0, only: str = "", **arguments: Any
    ) -> Outcome:
        """Carry out an operation of this module in a fresh child.

        ``kill_before`` is the number of the change that does not happen any more, 0 = none. With
        ``only`` just the changes count that have it in their name.
        """
        asked = {"operation": operation, "home": str(home), "kill_before": kill_before, "only": only}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({**asked, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the fork server ended: {self._process.wait(10)}"
        told = json.loads(line)
        assert not told["hung"], f"{operation} did not end within {_TIMEOUT_S} s"
        return Outcome(told["killed"], told["answer"], told["error"], tuple(told["points"]))

    def answer(self, operation: str, home: Path, **arguments: Any) -> Any:
        """The answer of an operation that must succeed."""
        done = self.run(operation, home, **arguments)
        assert not done.error, f"{operation}: {done.error}"
        return done.answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


# What follows runs in the fork server and its children.


class _Tripwire:
    """Counts the changes of this process, and kills it before one of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed = False
        self._home = ""
        self._only = ""
        self._kill_before = 0
        self.points: list[str] = []

    def arm(self, home: str, kill_before: int, only: str) -> None:
        """From now on changes count."""
        self._home, self._kill_before, self._only = f"{home}/", kill_before, only
        self._armed = True

    def disarm(self) -> None:
        """From now on they do not."""
        self._armed = False

    def change(self, call: str, place: object = None, half: Callable[[], object] | None = None) -> None:
        """Something is about to change: at a path, at a descriptor, or (None) not in a file.

        ``half`` does a part of it, which is all that happens when this is the fatal change.
        """
        if not self._armed:
            return
        name = "" if place is None else self._path(place)
        if place is not None and not name.startswith(self._home):
            return
        point = f"{call} {name.removeprefix(self._home)}".strip()
        with self._lock:
            if self._only not in point:
                return
            self.points.append(point)
            if len(self.points) == self._kill_before:
                if half:
                    half()
                os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def _path(place: object) -> str:
        if isinstance(place, int):
            try:
                return str(Path(f"/proc/self/fd/{place}").readlink())
            except OSError:
                return ""
        return str(Path(os.fsdecode(place)).absolute())  # type: ignore[arg-type]


_WIRE = _Tripwire()


def _count_os_calls() -> None:
    for name in ("link", "rename", "replace", "unlink", "remove", "rmdir", "mkdir", "symlink", "truncate"):
        setattr(os, name, _counted(name, getattr(os, name)))
    opened, written = os.open, os.write

    def open_counted(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & (os.O_CREAT | os.O_TRUNC):
            _WIRE.change("create", _at(path, dir_fd))
        return opened(path, flags, mode, dir_fd=dir_fd)

    def write_counted(descriptor: int, data: Any) -> int:
        view = memoryview(data)
        _WIRE.change("write", descriptor)
        if len(view) > 1:
            _WIRE.change("rest of write", descriptor, lambda: written(descriptor, view[: len(view) // 2]))
        return written(descriptor, data)

    os.open, os.write = open_counted, write_counted  # type: ignore[assignment]
    os.fsync = lambda descriptor: _WIRE.change("fsync", _number(descriptor))
    for name in ("sendfile", "copy_file_range", "pwrite", "writev", "ftruncate"):
        at = 1 if name == "copy_file_range" else 0
        setattr(os, name, _counted(name, getattr(os, name), at))


def _number(descriptor: Any) -> int:
    return descriptor if isinstance(descriptor, int) else int(descriptor.fileno())


def _at(path: Any, folder: int | None) -> Any:
    """A path given relative to a folder's descriptor, absolute."""
    if folder is None or isinstance(path, int):
        return path
    return Path(f"/proc/self/fd/{folder}").readlink() / os.fsdecode(path)


def _counted(name: str, original: Callable[..., Any], subject: int = 0) -> Callable[..., Any]:
    """The call, counted where it names its target: the second of two paths, else its subject."""
    second = name in ("link", "rename", "replace", "symlink")

    def counted(*arguments: Any, **options: Any) -> Any:
        place = arguments[1] if second and len(arguments) > 1 else arguments[subject]
        place = _at(place, options.get("dst_dir_fd", options.get("dir_fd")))
        if _would_change(name, place):
            _WIRE.change(name, place)
        return original(*arguments, **options)

    return counted


def _would_change(name: str, place: Any) -> bool:
    """Many folders are made that are there already, many removed that are not empty: no changes."""
    if name == "mkdir":
        return not os.path.lexists(place) and Path(place).absolute().parent.is_dir()
    if name == "rmdir":
        return Path(place).is_dir() and not any(Path(place).iterdir())
    return name not in ("unlink", "remove") or os.path.lexists(place)


class _CountedFile(io.FileIO):
    """A file whose writes count."""

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        _WIRE.change("write", self.fileno())
        if len(view) > 1:
            _WIRE.change("rest of write", self.fileno(), lambda: self._write(view[: len(view) // 2]))
        return self._write(view)

    def _write(self, view: memoryview) -> int:
        return int(super().write(view))


def _count_file_objects() -> None:
    """Files opened for writing by ``open`` and by pathlib; counted at their creation and each write."""
    original = io.open

    def open_counted(
        file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None,
        errors: str | None = None, newline: str | None = None, closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        if not set(mode) & set("wax+") or isinstance(file, int):
            return original(file, mode, buffering, encoding, errors, newline, closefd, opener)
        if "w" in mode or not os.path.lexists(file):
            _WIRE.change("create", file)
        raw = _CountedFile(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline)

    io.open = builtins.open = open_counted  # type: ignore[assignment]


def _count_the_rest() -> None:
    """Commits of the catalogue that write, flushes of a file system, requests that change a bucket."""
    import botocore.httpsession
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    import storage.files.store

    def flush(descriptor: int) -> int:
        _WIRE.change("syncfs", descriptor)
        return 0

    storage.files.store._SYNCFS = flush  # type: ignore[assignment]

    @event.listens_for(Engine, "commit")
    def commit(connection: Any) -> None:
        if connection.connection.dbapi_connection.in_transaction:
            _WIRE.change("commit")

    send = botocore.httpsession.URLLib3Session.send

    def send_counted(self: Any, request: Any) -> Any:
        if request.method in ("PUT", "POST", "DELETE"):
            key = request.url.partition("?")[0].split("/", 4)[-1]
            _WIRE.change(f"request {request.method} {key}")
        return send(self, request)

    botocore.httpsession.URLLib3Session.send = send_counted  # type: ignore[method-assign]


def _ingest(archive: Any, settings: Any, *, sip: str) -> Any:
    from pipeline.ingest.run import ingest
    from pipeline.ingest.sandbox import judge_here
    from stele.wiring import choose_agreement
    from storage.scratch import sweep_scratch

    sweep_scratch(archive.work)
    result = ingest(Path(sip), choose_agreement(settings, None), archive, judge=judge_here)
    return [str(result.outcome), result.aip, result.reason]


def _update(archive: Any, _: Any, *, aip: str, representation: str = "", metadata: str = "") -> Any:
    from pipeline.preservation.update import Change, update_aip

    change = Change(
        "found later", "A. Clerk", metadata=(Path(metadata),) if metadata else (),
        representation=Path(representation) if representation else None,
    )  # fmt: skip
    return update_aip(aip, change, archive).version


def _replicate(archive: Any, _: Any) -> Any:
    from pipeline.holdings.journal import write_journal
    from pipeline.preservation.replicate import replicate

    done = [[one.store, one.made, one.reason] for one in replicate(archive)]
    write_journal(archive)
    return done


def _audit(archive: Any, settings: Any, *, repair: bool) -> Any:
    """Every copy; what was found and what is now."""
    from pipeline.preservation.audit import audit
    from stele.wiring import audit_budget

    budget = replace(audit_budget(settings), everything=True, repair=repair)
    return [
        {
            "store": one.seen.store, "aip": one.seen.object_id, "found": str(one.seen.state),
            "state": str(one.state), "skipped": one.skipped, "reason": one.seen.reason,
            "wrong": [f"{found.kind} {found.key}" for found in one.seen.findings],
        }
        for one in audit(archive, budget)
    ]  # fmt: skip


def _request(archive: Any, _: Any, *, aip: str) -> Any:
    from pipeline.preservation.removal import request_removal

    return request_removal(archive, aip, reason="list 4", person="A. Clerk").aip


def _remove(archive: Any, _: Any, *, aip: str) -> Any:
    from pipeline.preservation.removal import approve_removal

    return str(approve_removal(archive, aip, person="B. Archivist").certificate)


def _hold(archive: Any, _: Any, *, aip: str) -> Any:
    from pipeline.preservation.removal import place_hold

    return list(place_hold(archive, aip, reason="case 12/26", person="A. Clerk").untold)


def _release(archive: Any, _: Any, *, aip: str) -> Any:
    from pipeline.preservation.removal import lift_hold

    lift_hold(archive, aip, reason="case closed", person="A. Clerk")
    return "released"


def _sweep(archive: Any, _: Any) -> Any:
    from pipeline.preservation.reconcile import sweep

    return [f"{one.kind} {one.subject}" for one in sweep(archive, _ANY_AGE, remove=True)]


def _care(archive: Any, settings: Any) -> Any:
    from stele.nightly import care_for_copies

    return care_for_copies(archive, settings)


def _forget_copy(archive: Any, _: Any, *, aip: str, store: str, version: str) -> Any:
    """A copy that is still to be made, as replication finds it."""
    copy = archive.catalogue.copies.get(aip, store)
    archive.catalogue.copies.put(replace(copy, state="pending", version=version, detail="it was away"))


def _read(archive: Any, _: Any) -> Any:
    """The files of kept AIPs that a reader does not get as they are, whatever the stores hold besides."""
    from packages.identifiers import PackageId
    from pipeline.holdings.aip_reader import AipReader

    wrong = []
    for aip in archive.catalogue.aips.all():
        with AipReader(PackageId.parse(aip.id), archive.repositories) as reader:
            for entry in reader.inventory.state():
                with reader.open(entry.logical) as stream:
                    if hashlib.sha512(stream.read()).hexdigest() != entry.sha512:
                        wrong.append(entry.logical)
    return wrong


def _examine(archive: Any, settings: Any) -> Any:
    """Everything the tests judge by: verify, reconcile, audit, sweep, then what lies where."""
    from pipeline.checking.stores import verify_object
    from pipeline.preservation.reconcile import reconcile, sweep
    from storage.scratch import sweep_scratch

    catalogue = archive.catalogue
    sweep_scratch(archive.work)
    found: dict[str, Any] = {"work": [str(place.parent) for place in archive.work.glob("*/lock")]}
    places = {one.store.name: one for one in archive.repositories}
    found["verify"] = [
        [one.object, one.store, one.version, one.outcome, sorted({p.code for p in one.problems})]
        for row in catalogue.aips.all()
        for copy in catalogue.copies.of(row.id)
        if copy.state != "pending"
        for one in [
            verify_object(places[copy.store].store, places[copy.store].layout.object_root(row.id), row.id)
        ]
    ]
    found["reconcile"] = [f"{one.store}: {one.kind} {one.subject}" for one in reconcile(archive)]
    found["audit"] = _audit(archive, settings, repair=False)
    left = sweep(archive, _ANY_AGE, remove=False)
    found["sweep"] = [f"{one.store}: {one.kind} {one.subject}" for one in left]
    found["aips"] = [
        [one.external_identifier, one.id, one.version, one.state]
        for state in ("kept", "removing", "removed")
        for one in catalogue.aips.all(state)
    ]
    found["running"] = [row.subject for row in catalogue.submissions.latest(["running"], limit=100)]
    found["holds"] = [one.aip for one in catalogue.holds.all()]
    found["planned"] = list(catalogue.versions.all_planned())
    found["leases"] = [f"{one.resource} {one.purpose}" for one in catalogue.leases.all() if one.live]
    found["not_journaled"] = [row.detail for _, row in catalogue.events.not_journaled(5000)]
    events = [row for aip in found["aips"] for row in catalogue.events.of(aip[1])]
    found["events"] = {row.id: row.detail for row in events if row.store}
    found["stores"] = {one.name: _content(one, settings) for one in archive.stores}
    return found


def _content(store: Any, settings: Any) -> Any:
    """What a store holds: its objects' bytes and versions, its journals, and what belongs to neither."""
    from storage.ocfl.layout import NAMASTE_OBJECT, HashAndIdLayout

    entries = _folder_entries(store, settings) if store.kind == "files" else _bucket_entries(store)
    files = {key: content for key, content in entries.items() if content is not None}
    digests = {key: hashlib.sha512(content).hexdigest() for key, content in files.items()}
    objects, belongs = {}, set(HashAndIdLayout().root_files())
    for key, content in files.items():
        folder, _, name = key.rpartition("/")
        if name != "inventory.json" or f"{folder}/{NAMASTE_OBJECT[0]}" not in files:
            continue
        inventory = json.loads(content)
        objects[inventory["id"]] = sorted(inventory["versions"])
        belongs |= {f"{folder}/{path}" for paths in inventory["manifest"].values() for path in paths}
        for place in (folder, *(f"{folder}/{version}" for version in inventory["versions"])):
            belongs |= {f"{place}/inventory.json", f"{place}/inventory.json.sha512"}
        belongs.add(f"{folder}/{NAMASTE_OBJECT[0]}")
    journals = {
        key for key in files if key.startswith("extensions/stele-journal/") and key[-6:] == ".jsonl"
    }
    lines = [json.loads(line) for key in sorted(journals) for line in files[key].splitlines()]
    return {
        "objects": objects,
        "strays": sorted(set(entries) - belongs - journals),
        "bytes": {key: digest for key, digest in digests.items() if not key.startswith("extensions/")},
        "journals": {key: digests[key] for key in journals},
        "events": [line.get("id", "") for line in lines],
    }  # fmt: skip


def _folder_entries(store: Any, settings: Any) -> dict[str, bytes | None]:
    """Every file by its key, and with None every folder in which nothing is."""
    root = next(settings.place(one.path) for one in settings.stores if one.name == store.name)
    entries: dict[str, bytes | None] = {}
    for folder, folders, files in os.walk(root):
        below = Path(folder).relative_to(root)
        entries.update({(below / name).as_posix(): (Path(folder) / name).read_bytes() for name in files})
        if not folders and not files:
            entries[below.as_posix()] = None
    return entries


def _bucket_entries(store: Any) -> dict[str, bytes | None]:
    objects = store.repository.store
    entries: dict[str, bytes | None] = {}
    for key in objects.list(""):
        with objects.open(key) as stream:
            entries[key] = stream.read()
    for upload in objects._unfinished_uploads(""):
        entries[f"unfinished upload of {upload['Key']}"] = None
    return entries


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "ingest": _ingest, "update": _update, "replicate": _replicate, "audit": _audit, "request": _request,
    "remove": _remove, "hold": _hold, "release": _release, "sweep": _sweep, "care": _care,
    "read": _read, "forget copy": _forget_copy, "examine": _examine,
}  # fmt: skip


def _opened(home: Path) -> tuple[Any, Any]:
    from unidentified import Unidentified

    from stele.settings import load_settings
    from stele.wiring import build_archive

    settings = load_settings(home)
    archive = build_archive(settings)
    return replace(archive, tools=replace(archive.tools, identifier=Unidentified())), settings  # type: ignore[arg-type]


def _in_child(asked: dict[str, Any], answer_to: int) -> None:
    signal.alarm(_TIMEOUT_S)
    told: dict[str, Any] = {"answer": None, "error": ""}
    try:
        archive, settings = _opened(Path(asked["home"]))
        _WIRE.arm(asked["home"], asked["kill_before"], asked["only"])
        told["answer"] = _OPERATIONS[asked["operation"]](archive, settings, **asked["arguments"])
        _WIRE.disarm()
        archive.catalogue.close()
    except BaseException as error:
        _WIRE.disarm()
        told["error"] = f"{type(error).__name__}: {error}"
        if type(error).__module__ == "builtins":
            told["error"] += "\n" + traceback.format_exc()
    told["points"] = _WIRE.points
    with open(answer_to, "w") as sink:
        sink.write(json.dumps(told))


def _fork(asked: dict[str, Any]) -> dict[str, Any]:
    assert threading.active_count() == 1, "a thread would be missing in the child"
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with contextlib.suppress(BaseException):
            _in_child(asked, writing)
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as source:
        told = source.read()
    _, status = os.waitpid(child, 0)
    ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    facts = {"answer": None, "error": "", "points": [], **(json.loads(told) if told else {})}
    facts["killed"] = ended == signal.SIGKILL
    facts["hung"] = ended == signal.SIGALRM
    return facts


def _warm_up() -> None:
    """Import, load and compile what every child would otherwise do again; no thread is left."""
    import boto3
    from bag_builder import bag_builder

    import stele.s3_probe_cache
    from stele.workspace import make_workspace

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        make_workspace(home)
        archive, settings = _opened(home)
        sip = bag_builder(Path(folder))({"a.txt": b"a"})
        aip = _ingest(archive, settings, sip=str(sip))[1]
        _update(archive, settings, aip=aip, representation=str(sip / "data"))
        _examine(archive, settings)
        _request(archive, settings, aip=aip)
        _remove(archive, settings, aip=aip)
        archive.catalogue.close()
    boto3.client("s3", region_name="us-east-1", aws_access_key_id="AK", aws_secret_access_key="SK").close()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(10)
    gc.collect()
    gc.freeze()  # or each child would copy what it only looks at
    settings_of = stele.s3_probe_cache.s3_settings
    stele.s3_probe_cache.s3_settings = lambda store: replace(settings_of(store), part_size=PART_BYTES)


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what somebody prints is no answer
    _warm_up()
    _count_os_calls()
    _count_file_objects()
    _count_the_rest()
    for line in sys.stdin:
        told = _fork(json.loads(line))
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
