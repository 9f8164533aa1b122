"""SIGKILL before every change an operation makes: nothing is lost, and the next run ends it.

By default a fixed random sample of the points; with STELELONG=1 all of them. STELE_KILL_AT=17,18 takes
just these. A point's number decides what happens between the death and the same command again: an audit
with repair (even numbers), replication and the nightly care for copies (multiples of three), one more
death in the same command (multiples of five).
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from bag_builder import bag_builder
from kill_points import PART_BYTES, ForkServer, Outcome
from requirements import LONG, unavailable
from servers import Server, client_of, keep_probe, new_bucket, store_settings

from stele.workspace import make_workspace
from storage.ocfl.layout import HashAndIdLayout

_SETTINGS = """
[audit]
repair = "automatic"
[validate]
enabled = false
[[stores]]
kind = "files"
name = "one"
path = "one"
"""
_TWO = """[[stores]]
kind = "files"
name = "two"
path = "two"
"""
_SEED = 20261127
_SAMPLE, _SAMPLE_OF_REQUESTS = 3, 1
_ROT = b"these bytes rotted"
_FIRST_CONTENT = {"a1.txt": b"first", "a2.txt": b"second", "a3.bin": b"\0" * PART_BYTES}
_SECOND_CONTENT = {"b1.txt": b"third", "sub/b2.txt": b"fourth", "b3.bin": b"\1" * PART_BYTES}


@dataclass(frozen=True)
class State:
    """How the archive must be: versions by external identifier, what is removed, what is held."""

    kept: dict[str, str]
    removed: tuple[str, ...] = ()
    held: bool = False


@dataclass(frozen=True)
class Operation:
    """What is killed. ``spoil`` makes the work for it in a copy of the first archive."""

    name: str
    call: str
    before: State | None
    """What the nightly care may also go back to; None: the stores are only right when it has ended."""
    after: State
    spoil: Callable[[Bench, Path], None] = lambda _bench, _home: None
    arguments: Callable[[Bench], dict[str, Any]] = lambda bench: {"aip": bench.aip}
    answers: Callable[[Any], bool] = lambda _answer: True
    already: str = "no such error"
    """A part of the error with which the command may answer that all is done already."""
    evidence: bytes = b""
    """What must be in quarantine in the end; nothing else may be."""
    damages: bool = False
    follow_up: bool = False
    """The submission must still be taken in afterwards."""


_FIRST, _BOTH = State({"a": "v1"}), State({"a": "v1", "b": "v1"})
_UPDATED, _GONE = State({"a": "v2"}), State({}, removed=("a",))
_HELD = replace(_FIRST, held=True)


def _object(bench: Bench, home: Path, store: str) -> Path:
    return home / store / HashAndIdLayout().object_root(bench.aip)


def _lose_copy(bench: Bench, home: Path) -> None:
    shutil.rmtree(_object(bench, home, "two"))
    bench.server.answer("forget copy", home, aip=bench.aip, store="two", version="")


def _fall_behind(bench: Bench, home: Path) -> None:
    """Store two has v1 still; v2 is pending there."""
    place = _object(bench, home, "two")
    shutil.copytree(place, home / "v1")
    bench.server.answer("update", home, aip=bench.aip, representation=str(bench.representation))
    shutil.rmtree(place)
    (home / "v1").rename(place)
    bench.server.answer("forget copy", home, aip=bench.aip, store="two", version="v1")


def _content_file(bench: Bench, home: Path, store: str) -> Path:
    return next(_object(bench, home, store).rglob("a1.txt"))


def _rot(bench: Bench, home: Path) -> None:
    place = _content_file(bench, home, "two")
    place.chmod(0o644)
    place.write_bytes(_ROT)


def _lose_content(bench: Bench, home: Path) -> None:
    _content_file(bench, home, "one").unlink()


def _add_stray(bench: Bench, home: Path) -> None:
    (_object(bench, home, "two") / "v1/content/stray").write_bytes(_ROT)


def _lose_inventory(bench: Bench, home: Path) -> None:
    (_object(bench, home, "one") / "inventory.json").unlink()


def _kill_an_ingest(bench: Bench, home: Path) -> None:
    """Before the first inventory is written: all content is there, and nothing vouches for it."""
    counted = bench.copy(home)
    arguments = {"sip": str(bench.second)}
    points = bench.server.run("ingest", counted, **arguments).points
    shutil.rmtree(counted)
    at = next(number for number, point in enumerate(points, 1) if "v1/inventory.json" in point)
    assert bench.server.run("ingest", home, kill_before=at, **arguments).killed


def _request(bench: Bench, home: Path) -> None:
    bench.server.answer("request", home, aip=bench.aip)


def _hold(bench: Bench, home: Path) -> None:
    bench.server.answer("hold", home, aip=bench.aip)


def _sip(bench: Bench) -> dict[str, Any]:
    return {"sip": str(bench.second)}


def _representation(bench: Bench) -> dict[str, Any]:
    return {"aip": bench.aip, "representation": str(bench.representation)}


def _metadata(bench: Bench) -> dict[str, Any]:
    return {"aip": bench.aip, "metadata": str(bench.metadata)}


def _nothing(_: Bench) -> dict[str, Any]:
    return {}


def _taken_in(answer: Any) -> bool:
    return answer[0] in ("stored", "duplicate")


def _is_v2(answer: Any) -> bool:
    return bool(answer == "v2")


def _documented(answer: Any) -> bool:
    return Path(answer).stat().st_size > 0


def _repair(name: str, spoil: Callable[[Bench, Path], None], evidence: bytes = b"") -> Operation:
    return Operation(
        f"repair: {name}", "audit", None, _FIRST, spoil, lambda _: {"repair": True},
        lambda answer: all(one["state"] == "verified" and not one["skipped"] for one in answer),
        evidence=evidence, damages=True,
    )  # fmt: skip


OPERATIONS = (
    Operation("ingest", "ingest", None, _BOTH, arguments=_sip, answers=_taken_in),
    Operation(
        "update: representation", "update", _FIRST, _UPDATED, arguments=_representation, answers=_is_v2
    ),
    Operation("update: metadata", "update", _FIRST, _UPDATED, arguments=_metadata, answers=_is_v2),
    Operation("replicate: new copy", "replicate", None, _FIRST, _lose_copy, _nothing),
    Operation("replicate: new version", "replicate", None, _UPDATED, _fall_behind, _nothing),
    _repair("rotten object", _rot, _ROT),
    _repair("missing object", _lose_content),
    _repair("stray object", _add_stray, _ROT),
    _repair("lost root inventory", _lose_inventory),
    Operation("remove", "remove", _FIRST, _GONE, _request, answers=_documented),
    Operation("sweep", "sweep", None, _FIRST, _kill_an_ingest, _nothing, follow_up=True),
    Operation("hold", "hold", _FIRST, _HELD),
    Operation("release", "release", _HELD, _FIRST, _hold, already="there is no legal hold on"),
)
_BY_NAME = {one.name: one for one in OPERATIONS}
_ON_A_BUCKET = ("ingest", "update: representation", "replicate: new copy", "remove")


@dataclass
class Bench:
    """The archive that is copied for every death, and what its operations are given."""

    folder: Path
    server: ForkServer
    aip: str = ""
    first: Path = Path()
    second: Path = Path()
    representation: Path = Path()
    metadata: Path = Path()
    home: Path = field(default=Path())
    bucket: Bucket | None = None

    def copy(self, home: Path) -> Path:
        """A copy of a workspace, and of the bucket that is its second store."""
        made = Path(tempfile.mkdtemp(dir=self.folder)) / "home"
        shutil.copytree(home, made, symlinks=True)
        if self.bucket:
            self.bucket.copy(home, made)
        return made


@dataclass(frozen=True)
class Bucket:
    """The server of the second store."""

    endpoint: str
    probed: dict[str, Any]

    def attach(self, home: Path, bucket: str) -> None:
        """Let a workspace have its second store in a bucket."""
        settings = store_settings(Server(self.endpoint, "AK", "SK"), bucket, "two")
        (home / "stele.toml").write_text(_SETTINGS + settings)
        keep_probe(home, "two", self.probed, bucket)
        (home / "bucket").write_text(bucket)

    def copy(self, source: Path, target: Path) -> None:
        """A bucket with the same objects for a copy of a workspace."""
        server = Server(self.endpoint, "AK", "SK")
        old, new = (source / "bucket").read_text(), new_bucket(server)
        client = client_of(server)
        for one in client.list_objects_v2(Bucket=old).get("Contents", ()):
            client.copy_object(Bucket=new, Key=one["Key"], CopySource={"Bucket": old, "Key": one["Key"]})
        client.close()
        self.attach(target, new)


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """The process that forks the children."""
    if not Path("/proc/self/fd").is_dir():
        unavailable("kill points are found by /proc/self/fd, which Linux has")
    made = ForkServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where the machine has such a place: SIGKILL loses nothing there either."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="stele-kill-", dir=place) as made:
        yield Path(made)


def _bench(folder: Path, server: ForkServer, bucket: Bucket | None = None) -> Bench:
    place = Path(tempfile.mkdtemp(dir=folder))
    bench = Bench(place, server, bucket=bucket)
    build = bag_builder(place)
    bench.first, bench.second = build(_FIRST_CONTENT, name="a"), build(_SECOND_CONTENT, name="b")
    bench.representation, bench.metadata = place / "rep2", place / "dc.xml"
    bench.representation.mkdir()
    (bench.representation / "new.txt").write_text("a new file")
    bench.metadata.write_text('<dc xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>T</dc:title></dc>')
    bench.home = place / "template"
    make_workspace(bench.home)
    shutil.rmtree(bench.home / "store")
    (bench.home / "stele.toml").write_text(_SETTINGS + _TWO)
    if bucket:
        bucket.attach(bench.home, new_bucket(Server(bucket.endpoint, "AK", "SK")))
    outcome, bench.aip, reason = server.answer("ingest", bench.home, sip=str(bench.first))
    assert outcome == "stored", reason
    return bench


@pytest.fixture(scope="module")
def bench(folder: Path, server: ForkServer) -> Bench:
    """One AIP in two folder stores."""
    return _bench(folder, server)


@pytest.fixture(scope="module")
def bucket_bench(
    folder: Path, server: ForkServer, ministack: str, ministack_probe: dict[str, Any]
) -> Bench:
    """One AIP in a folder and in a bucket."""
    return _bench(folder, server, Bucket(ministack, ministack_probe))


@pytest.mark.parametrize("name", [one.name for one in OPERATIONS])
def test_killed_before_a_change(name: str, bench: Bench) -> None:
    """Killed before any change to store, workspace or catalogue, an operation is ended by the next."""
    _kill_at_points(bench, _BY_NAME[name], "", _SAMPLE)


@pytest.mark.parametrize("name", _ON_A_BUCKET)
def test_killed_before_a_request(name: str, bucket_bench: Bench) -> None:
    """Killed before any request that changes the bucket, an operation is ended by the next."""
    operation = _BY_NAME[name]
    if name == "replicate: new copy":
        operation = replace(operation, spoil=_lose_copy_in_bucket)
    _kill_at_points(bucket_bench, operation, "request", _SAMPLE_OF_REQUESTS)


def _lose_copy_in_bucket(bench: Bench, home: Path) -> None:
    assert bench.bucket is not None
    client = client_of(Server(bench.bucket.endpoint, "AK", "SK"))
    bucket, prefix = (home / "bucket").read_text(), f"aips/{HashAndIdLayout().object_root(bench.aip)}/"
    for one in client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
        client.delete_object(Bucket=bucket, Key=one["Key"])
    client.close()
    bench.server.answer("forget copy", home, aip=bench.aip, store="two", version="")


def _kill_at_points(bench: Bench, operation: Operation, only: str, sample: int) -> None:
    """Count the changes of an operation, then die before each, or before a sample of them."""
    began = time.monotonic()
    template = bench.copy(bench.home)
    operation.spoil(bench, template)
    counted = bench.copy(template)
    whole = bench.server.run(operation.call, counted, only=only, **operation.arguments(bench))
    assert not whole.error, whole.error
    problems = _judged(bench, operation, counted)
    assert not problems, f"even without a death: {problems}"
    wrong = {}
    numbers = _numbers(operation.name, len(whole.points), sample)
    for number in numbers:
        home = bench.copy(template)
        problems = _one_death(bench, operation, home, number, only)
        if problems:
            at = whole.points[number - 1]
            wrong[number] = f"before “{at}”: " + "; ".join(problems)
            print(f"\n{operation.name} {number}: {wrong[number]}", flush=True)
        shutil.rmtree(home.parent)
    seconds = time.monotonic() - began
    print(
        f"\n{operation.name}: {len(numbers)} of {len(whole.points)} points, {len(wrong)} wrong, {seconds:.0f} s"
    )
    if wrong:
        pytest.fail("\n".join(f"{number}: {what}" for number, what in wrong.items()), pytrace=False)


def _numbers(name: str, points: int, sample: int) -> list[int]:
    every = range(1, points + 1)
    if chosen := os.environ.get("STELE_KILL_AT"):
        return [int(number) for number in chosen.split(",") if int(number) in every]
    if LONG:
        return list(every)
    return sorted(random.Random(f"{_SEED} {name}").sample(every, min(sample, points)))


def _one_death(bench: Bench, operation: Operation, home: Path, number: int, only: str) -> list[str]:
    """Everything that is not as it must be, after one death and all that follows it."""
    run, arguments = bench.server.run, operation.arguments(bench)
    died = run(operation.call, home, kill_before=number, only=only, **arguments)
    problems = [f"not killed: {died.error}"] if died.error else []
    if number % 2 == 0:
        problems += _audited(run("audit", home, repair=True), operation)
    elif not operation.damages:
        read = run("read", home)
        problems += [f"not to be read: {read.error or read.answer}"] if read.error or read.answer else []
    if number % 3 == 0:
        problems += _cared_for(bench, operation, home)
    if number % 5 == 0:
        chance = random.Random(f"{_SEED} {operation.name} {number}")
        run(operation.call, home, kill_before=chance.randint(1, 2 * number), only=only, **arguments)
    again = run(operation.call, home, **arguments)
    if again.error and operation.already not in again.error:
        problems.append(f"again: {again.error}")
    elif not again.error and not operation.answers(again.answer):
        problems.append(f"again: {again.answer}")
    problems += _judged(bench, operation, home)
    if operation.follow_up:
        taken = run("ingest", home, sip=str(bench.second))
        if taken.error or taken.answer[0] != "stored":
            problems.append(f"taken in afterwards: {taken.error or taken.answer}")
        problems += _judged(bench, replace(operation, after=_BOTH), home)
    return problems


def _audited(done: Outcome, operation: Operation) -> list[str]:
    """What the nightly audit must not say of an archive in which nothing rotted."""
    if done.error:
        return [f"audit with repair: {done.error}"]
    bad = [one for one in done.answer if one["state"] != "verified" and not one["skipped"]]
    if not operation.damages:
        bad += [one for one in done.answer if one["found"] != "verified" and not one["skipped"]]
    return [
        f"audit: {one['found']}, then {one['state']} in {one['store']} ({one['wrong'][:3]} {one['reason']})"
        for one in bad
    ]


def _cared_for(bench: Bench, operation: Operation, home: Path) -> list[str]:
    """Replication and the nightly care end what was begun, or undo it."""
    problems = []
    for call in ("replicate", "care"):
        done = bench.server.run(call, home)
        if done.error:
            problems.append(f"{call}: {done.error}")
    if operation.before is None:
        return problems
    examined = bench.server.run("examine", home)
    ended = _compared(bench, operation, operation.after, home, examined)
    undone = _compared(bench, operation, operation.before, home, examined)
    if ended and undone:
        problems.append(f"after the nightly care neither ended ({ended}) nor undone ({undone})")
    return problems


def _judged(bench: Bench, operation: Operation, home: Path) -> list[str]:
    """Everything in which an archive differs from the state after the operation."""
    return _compared(bench, operation, operation.after, home, bench.server.run("examine", home))


def _compared(bench: Bench, operation: Operation, state: State, home: Path, examined: Outcome) -> list[str]:
    if examined.error:
        return [f"examination: {examined.error}"]
    found = examined.answer
    aips = {aip: name for name, aip, _, _ in found["aips"]}
    problems = _differences(
        {
            "AIPs": (
                {(name, version, now) for name, _, version, now in found["aips"] if now != "removed"},
                {(name, version, "kept") for name, version in state.kept.items()},
            ),
            "removed": ({one[0] for one in found["aips"] if one[3] == "removed"}, set(state.removed)),
            "copies": (
                {(aips.get(one[0]), *one[1:4], *one[4]) for one in found["verify"]},
                {
                    (name, store, version, "intact")
                    for name, version in state.kept.items()
                    for store in ("one", "two")
                },
            ),
            "audit": (
                {
                    (aips.get(one["aip"]), one["store"], one["found"], one["skipped"])
                    for one in found["audit"]
                },
                {(name, store, "verified", "") for name in state.kept for store in ("one", "two")},
            ),
            "holds": (set(found["holds"]), {bench.aip} if state.held else set()),
            "removed without a certificate": (_uncertified(found, home), set()),
            "still running": (set(found["running"]) if "b" in state.kept else set(), set()),
            "work areas": (set(found["work"]), set()),
            "planned versions": (set(found["planned"]), set()),
            "live leases": (set(found["leases"]), set()),
            "events that are in no journal": (set(found["not_journaled"]), set()),
            "reconcile": (set(found["reconcile"]), set()),
            "sweep": (set(found["sweep"]), set()),
            "quarantine": (_quarantined(home), {operation.evidence} if operation.evidence else set()),
        }
    )
    return problems + _differences(_stores(found, aips, state)) + _lost(bench, found, state)


def _stores(found: dict[str, Any], aips: dict[str, str], state: State) -> dict[str, tuple[Any, Any]]:
    """Versions without gaps and without one too many, no strays, all journals, equal bytes."""
    facts: dict[str, tuple[Any, Any]] = {}
    for store, content in found["stores"].items():
        versions = {(aips.get(aip), *names) for aip, names in content["objects"].items()}
        expected = {(name, *(f"v{n}" for n in range(1, int(v[1:]) + 1))) for name, v in state.kept.items()}
        facts[f"versions in {store}"] = versions, expected
        facts[f"strays in {store}"] = set(content["strays"]), set()
        facts[f"events lacking in the journal of {store}"] = (
            {what for event, what in found["events"].items() if event not in content["events"]}, set()
        )  # fmt: skip
    one, two = found["stores"].values()
    facts["objects that differ"] = set(one["bytes"].items()) ^ set(two["bytes"].items()), set()
    facts["journals that differ"] = set(one["journals"].items()) ^ set(two["journals"].items()), set()
    return facts


def _uncertified(found: dict[str, Any], home: Path) -> set[str]:
    removed = [aip for _, aip, _, state in found["aips"] if state == "removed"]
    places = {aip: home / f"receipts/removal-{aip.rpartition(':')[2]}.md" for aip in removed}
    return {aip for aip, place in places.items() if not place.is_file() or not place.stat().st_size}


def _quarantined(home: Path) -> set[bytes]:
    """Contents of the files in quarantine, without those whose writing was cut off."""
    places = (home / "quarantine").rglob("*")
    return {path.read_bytes() for path in places if path.is_file() and path.suffix != ".part"}


def _lost(bench: Bench, found: dict[str, Any], state: State) -> list[str]:
    """Files of the submissions whose bytes a store has not got."""
    sips = {"a": bench.first, "b": bench.second}
    files = [path for name in state.kept for path in (sips[name] / "data").rglob("*") if path.is_file()]
    digests = {path.name: hashlib.sha512(path.read_bytes()).hexdigest() for path in files}
    return [
        f"the bytes of {name} are not in {store}"
        for store, content in found["stores"].items()
        for name, digest in digests.items()
        if digest not in content["bytes"].values()
    ]


def _differences(facts: dict[str, tuple[Any, Any]]) -> list[str]:
    """Facts that are not as expected, with what is too much and what is lacking."""
    return [
        f"{what}: {sorted(map(str, found - expected))[:4]} instead of {sorted(map(str, expected - found))[:4]}"
        for what, (found, expected) in facts.items()
        if found != expected
    ]
