"""Seeds run, replayed and shrunk."""

from __future__ import annotations

import gc
import random
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packages.digest import sha512_hex
from simulation.archive import OPERATIONS, Setting, simulated
from simulation.catalogue import Disk
from simulation.model import Model
from simulation.stores import SimStore
from simulation.world import Fault, Process, Violation, World
from storage.replicas.store import Role

__all__ = ["Failure", "Scenario", "collect_garbage_seldom", "run", "scenario_of", "shrunk"]

_WORLD_FAULTS = (
    *["kill"] * 5, "kill machine", *["power cut"] * 3, *["stall"] * 2, *["stall at the catalogue"] * 4,
    "clock jump", "catalogue down", "quarantine full",
)  # fmt: skip
"""What is interrupted between two steps finds the most."""
_AIMED = ("kill", "stall")
_STORE_FAULTS = (
    "down", "full", "rot", "lost object", "lost write", "late write", "spoilt write", "flipped read", "short read",
    "failed read",
)  # fmt: skip
_DAMAGE = ("rot", "lost object")
_OFTEN = [*OPERATIONS, "update", "update", "update", "audit", "remove"]
_BEFORE = ("ingest", 0), ("ingest", 1)
_BEGIN_AFTER_S = (0, 0, 0, 0, 130, 200)
_STEPS = {
    "ingest": 48, "update": 84, "audit": 110, "replicate": 55, "remove": 75, "hold": 14, "release": 32,
    "sweep": 10, "reconcile": 8, "rebuild": 105, "nightly": 165, "repair": 40,
}  # fmt: skip
"""The calls that an operation makes: a fault after the last one would strike nobody."""
_WRITES = {
    "ingest": 26, "update": 17, "audit": 24, "replicate": 14, "remove": 38, "hold": 5, "release": 13,
    "sweep": 4, "reconcile": 2, "rebuild": 30, "nightly": 28, "repair": 8,
}  # fmt: skip
"""Of these calls, those that write."""
_disk: Disk | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that a run depends on."""

    seed: int
    roles: tuple[tuple[str, str], ...]
    operations: tuple[tuple[str, int, str], ...]
    """(operation, number, machine) of processes that are at work at once."""
    faults: tuple[Fault, ...]
    in_turn: bool = False
    """One operation after the other, each beginning when the one before it ends, is stopped or sleeps."""
    redone: bool = True
    """Whether people start again what failed; otherwise the nightly run alone has to do, which takes
    what lies in the drop box in any case."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a seed found."""

    scenario: Scenario
    violation: str
    story: tuple[str, ...]


def scenario_of(seed: int) -> Scenario:
    """Drawn from the seed alone: a crowd, or a few in turn of which the first is stopped somewhere."""
    chance = random.Random(seed)
    return _in_turn(seed, chance) if seed % 2 else _crowd(seed, chance)


_STOPPED = [
    *OPERATIONS,
    "update",
    "update",
    "update",
    "ingest",
    "ingest",
    "remove",
    "replicate",
    "replicate",
]
_STOPS = ("kill", "power cut", "power cut", "stall", "stall", "pause", "pause", "pause")
_ENDS = ("power cut", "catalogue lost", "power cut, catalogue lost", "old backup")
_CONVERSATIONS = (
    ("remove", "hold"), ("hold", "remove"), ("remove", "release"), ("remove", "ingest"), ("remove", "nightly"),
    ("remove", "update"), ("update", "update"), ("update", "update"), ("update", "audit"), ("update", "repair"),
    ("update", "replicate"), ("update", "rebuild"), ("update", "sweep"), ("update", "remove"),
    ("replicate", "update"), ("audit", "update"), ("nightly", "update"), ("rebuild", "update"),
    ("rebuild", "remove"), ("ingest", "ingest"), ("ingest", "sweep"), ("ingest", "rebuild"), ("hold", "rebuild"),
    ("reconcile", "ingest"), ("reconcile", "replicate"),
)  # fmt: skip
"""Two that want the same AIP and could undo each other."""


def _in_turn(seed: int, chance: random.Random) -> Scenario:
    """Every step of every operation is a place to stop at, with every other operation after it."""
    second = chance.choice(["required", "required", "secondary", "behind"])
    roles = (("one", "required"), ("two", second))
    if chance.random() < 0.35:
        names, same = list(chance.choice(_CONVERSATIONS)), chance.choice([2, 3])
        numbers = [same, chance.choice([same, same + 2])]
    else:
        names = [chance.choice(_STOPPED) for _ in range(chance.choice([1, 2, 2, 3]))]
        same = chance.choice([2, 3])
        numbers = [chance.choice([same, same, same + 2, 5]) for _ in names]
    operations = tuple(
        (name, number, "A" if index == 0 else chance.choice("AB"))
        for index, (name, number) in enumerate(zip(names, numbers, strict=True))
    )
    faults = []
    for index, name in enumerate(names):
        if index and chance.random() < 0.6:
            continue
        if chance.random() < 0.25:
            faults.append(Fault(0, chance.choice(_ENDS), "", 0, index, at_end=True))
        else:
            at_write = chance.random() < 0.6
            step = chance.randrange(1, 1 + (_WRITES if at_write else _STEPS)[name])
            lasts = chance.choice([140, 160, 400])
            faults.append(Fault(step, chance.choice(_STOPS), "", lasts, index, at_write=at_write))
    if chance.random() < 0.15:
        kind, victim = chance.choice(["flipped read", "short read", "failed read"]), 0
        step = chance.randrange(1, _STEPS[names[victim]])
        faults.append(Fault(step, kind, chance.choice(roles)[0], 0, victim))
    if chance.random() < 0.3:
        damaged = chance.choice(roles)[0]
        for _ in range(chance.choice([1, 1, 2, 3])):
            faults.append(Fault(1, chance.choice(["rot", "lost object"]), damaged, chance.randrange(60)))
        if chance.random() < 0.3:
            faults.append(Fault(1, "quarantine full"))
    if chance.random() < 0.2:
        kind, step = chance.choice(_STORE_FAULTS), chance.randrange(1, 100)
        if kind not in _DAMAGE:
            faults.append(Fault(step, kind, chance.choice(roles)[0], chance.choice([5, 30, 200])))
    redone = chance.random() < 0.6
    return Scenario(seed, roles, operations, tuple(faults), in_turn=True, redone=redone)


def _crowd(seed: int, chance: random.Random) -> Scenario:
    """Several at once, switched at any call, and anything may go wrong at any time."""
    roles = [("one", "required"), ("two", chance.choice(["required", "required", "secondary"]))]
    if chance.random() < 0.15:
        roles = roles[:1]
    numbers = chance.choice([(2, 4), (2, 4), (2, 3, 4, 5)])  # often all of them are about one AIP
    operations = tuple(
        (chance.choice(_OFTEN), chance.choice(numbers), chance.choice("AAB"))
        for _ in range(chance.choice([2, 2, 3, 3, 4]))
    )
    faults = []
    rotten = chance.choice(roles)[0]  # one medium rots: of an object that rots everywhere nothing is left
    for _ in range(chance.choice([0, 1, 2, 3, 3, 4, 5])):
        step = chance.randrange(1, sum(_STEPS[name] for name, _, _ in operations))
        if chance.random() < 0.65:
            kind = chance.choice(_WORLD_FAULTS)
            number = chance.choice([20, 140, 160, 400])
            if kind == "clock jump":
                number = chance.choice([-90_000, -200, 150, 4000])
            if kind in _AIMED:
                victim = chance.randrange(len(operations))
                step = chance.randrange(1, _STEPS[operations[victim][0]])
                faults.append(Fault(step, kind, "", number, victim))
            else:
                faults.append(Fault(step, kind, "", number))
        else:
            kind = chance.choice(_STORE_FAULTS)
            store = rotten if kind in _DAMAGE else chance.choice(roles)[0]
            if kind in _DAMAGE and len(roles) == 1:
                continue  # nothing could be made good from anywhere
            faults.append(Fault(step, kind, store, chance.choice([5, 30, 200])))
    return Scenario(seed, tuple(roles), operations, tuple(faults))


def run(scenario: Scenario) -> Failure | None:
    """One run from an empty archive; None when nothing was violated."""
    global _disk
    _disk = _disk or Disk()
    disk = _disk
    disk.reset()
    world = World(scenario.seed, [])
    folder = Path(
        tempfile.mkdtemp(prefix="stele-sim-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    )
    roles = {name: Role("secondary" if role == "behind" else role) for name, role in scenario.roles}
    setting = Setting(world, disk, roles, folder, [])
    world.stores = {name: SimStore(name, world) for name in setting.roles}
    world.on_power_cut = lambda: _power_cut(world, disk)
    world.on_catalogue_lost = disk.reset
    world.on_old_backup = lambda: disk.restore(_begun[scenario.roles][1])
    model = Model(setting)
    try:
        with simulated(setting):
            _play(scenario, setting, model)
    except Violation as found:
        return Failure(scenario, str(found), tuple(world.log))
    return None


def _power_cut(world: World, disk: Disk) -> None:
    for store in world.stores.values():
        store.power_cut()
    disk.power_cut()


def _play(scenario: Scenario, setting: Setting, model: Model) -> None:
    world = setting.world
    _begin(scenario, setting)
    world.quiet = False
    world.steps = 0
    whoever = (fault for fault in scenario.faults if fault.victim < 0)
    world.faults = sorted(whoever, key=lambda fault: fault.step)
    started = [_process(setting, *one) for one in scenario.operations]
    for index, process in enumerate(started):
        # Some begin when whoever stalls has lost its lease by then.
        if scenario.in_turn:
            process.paused = index
        else:
            process.stalled_until = world.now + world.chance.choice(_BEGIN_AFTER_S)
        process.fates = [fault for fault in scenario.faults if fault.victim == index]
    world.run()
    _nobody_is_surprised(scenario, started)
    _recover(scenario, setting, started, model)
    model.after_step()
    model.at_rest()
    if scenario.seed % 3 == 0:  # a third of the time a run takes
        _lose_the_catalogue(setting, model)


_begun: dict[tuple[tuple[str, str], ...], tuple[dict[str, dict[str, bytes]], bytes, float, list[Any]]] = {}


def _begin(scenario: Scenario, setting: Setting) -> None:
    """Two AIPs in every store: taken in once, and the same for all runs with these stores."""
    world, disk = setting.world, setting.disk
    world.quiet = True
    if scenario.roles not in _begun:
        behind = [world.stores[name] for name, role in scenario.roles if role == "behind"]
        for name, number in _BEFORE:
            world.quiet = not behind or number > 0
            for store in behind:
                store.down_until = 1e9 if number == 0 else 0.0
            assert _finish(setting, name, number, "A").result == "stored", "a run needs an archive"
        world.quiet = True
        media = {name: dict(store.objects) for name, store in world.stores.items()}
        told = [list(setting.acknowledged), set(world.stated)]
        _begun[scenario.roles] = (media, disk.connection.serialize(), world.now, told)
        world.processes.clear()
    media, content, world.now, (acknowledged, stated) = _begun[scenario.roles]
    for name, objects in media.items():
        store = world.stores[name]
        store.objects = dict(objects)
        store.digests = {key: sha512_hex(data) for key, data in objects.items()}
        store.flush()
    disk.restore(content)
    setting.acknowledged[:] = acknowledged
    world.stated = set(stated)
    world.log.clear()
    world.chance.seed(scenario.seed)  # the same whether or not this run was the first


def collect_garbage_seldom() -> None:
    """For a process that runs many seeds: a tenth of the time went into looking for garbage."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


_pids = iter(range(10, 1 << 40))


def _process(setting: Setting, name: str, number: int, machine: str) -> Process:
    process = Process(f"{name}-{number}", machine, next(_pids), OPERATIONS[name](setting, number))
    setting.world.spawn(process)
    return process


def _finish(setting: Setting, name: str, number: int, machine: str) -> Process:
    process = _process(setting, name, number, machine)
    setting.world.run_only(process)
    return process


def _recover(scenario: Scenario, setting: Setting, started: list[Process], model: Model) -> None:
    """Everything works again: whatever did not come to its end is started again by the same command,
    and the nightly run does the rest. Nobody who knows the inside is asked."""
    world = setting.world
    world.quiet = True
    for store in world.stores.values():
        store.armed.clear()
    world.now += 600
    if world.catalogue_old:  # before anybody has noticed, a nightly run goes by
        night = _finish(setting, "nightly", 0, "A")
        if night.error is not None:
            raise Violation(f"the nightly run with an old catalogue failed: {night.error!r}")
    if world.catalogue_lost:
        rebuilt = _finish(setting, "rebuild", 0, "A")
        if rebuilt.error is not None:
            raise Violation(f"rebuild failed: {rebuilt.error!r}")
        world.catalogue_old = False
    again = [
        one for one, process in zip(scenario.operations, started, strict=True)
        if (scenario.redone or one[0] == "ingest") and (process.dead or process.error is not None)
    ]  # fmt: skip
    for name, number, machine in again:
        _finish(setting, name, number, machine)
    # A third machine sees of nobody whether he is dead: it has to wait until a lease has run out.
    _redo(setting, again, "C" if scenario.seed // 2 % 2 else "A")
    if not any(fault.kind == "late write" for fault in scenario.faults) and not world.catalogue_lost:
        model.nothing_lies_about()
    for name in ("sweep", "nightly", "reconcile"):
        process = _finish(setting, name, 0, "B")
        if process.error is not None:
            raise Violation(f"{name} at rest failed: {process.error!r}")
        if name == "reconcile" and process.result != "[]":
            raise Violation(f"catalogue and storage disagree at rest: {process.result}")


_INTERRUPTIONS = (
    "kill", "kill machine", "power cut", "stall", "stall at the catalogue", "pause", "clock jump",
    "catalogue lost", "power cut, catalogue lost", "old backup",
)  # fmt: skip


def _nobody_is_surprised(scenario: Scenario, started: list[Process]) -> None:
    """Where only processes are stopped, and nothing breaks, every command ends as its user can understand:
    done, refused with the reason, or told that somebody else is at work."""
    if any(fault.kind not in _INTERRUPTIONS for fault in scenario.faults):
        return
    for process in started:
        error = process.error
        if error is None or process.dead or _is_refusal(error) or _is_told_of_others(error):
            continue
        raise Violation(f"{process.name} ended with {error!r}")


def _is_told_of_others(error: BaseException) -> bool:
    """Somebody else is at work on the AIP, or took over from a process that was silent for too long."""
    return type(error).__name__ in ("Busy", "LeaseLost") or any(
        words in str(error) for words in ("is in use by", "was lost (no heartbeat")
    )


def _redo(setting: Setting, again: list[tuple[str, int, str]], machine_of_night: str) -> None:
    for attempts_left in (2, 1, 0):  # what waits for a repair is done when the nightly run has made it
        night = _finish(setting, "nightly", 0, machine_of_night)
        if night.error is not None:
            raise Violation(f"the nightly run after all faults failed: {night.error!r}")
        done = [_finish(setting, name, number, machine) for name, number, machine in again]
        failed = [one for one in done if one.error is not None and not _is_refusal(one.error)]
        if not failed:
            break
        if not attempts_left:
            raise Violation(f"{failed[0].name} can not be done again: {failed[0].error!r}")


def _is_refusal(error: BaseException) -> bool:
    """What a user is rightly told: the AIP is gone, a hold stands, there is no hold to lift."""
    return type(error).__name__ in ("UnknownPackage", "RemovalRefused", "UpdateRefused")


def _lose_the_catalogue(setting: Setting, model: Model) -> None:
    """Made again from storage alone, it knows the same AIPs, holds and removals."""
    disk = setting.disk
    queries = (
        "SELECT id, version, state FROM aip ORDER BY id",
        "SELECT aip, reason, person FROM hold ORDER BY aip",
        "SELECT aip, approved_by FROM removal WHERE removed <> '' ORDER BY aip",
    )
    before = [disk.rows(query) for query in queries]
    disk.reset()
    process = _finish(setting, "rebuild", 0, "A")
    if process.error is not None:
        raise Violation(f"rebuild failed: {process.error!r}")
    for query, known in zip(queries, before, strict=True):
        found = disk.rows(query)
        if found != known:
            raise Violation(f"a rebuilt catalogue has {found}, not {known} ({query})")
    if setting.world.chance.randrange(8) == 0:
        night = _finish(setting, "nightly", 0, "A")
        if night.error is not None:
            raise Violation(f"the nightly run after a rebuild failed: {night.error!r}")
        model.at_rest()


def shrunk(failure: Failure) -> Failure:
    """The same violation with as few operations and faults as it needs."""
    best = failure
    smaller = True
    while smaller:
        smaller = False
        scenario = best.scenario
        fewer = [
            replace(scenario, faults=scenario.faults[:n] + scenario.faults[n + 1 :])
            for n in range(len(scenario.faults))
        ] + [
            replace(scenario, operations=scenario.operations[:n] + scenario.operations[n + 1 :])
            for n in range(len(scenario.operations))
        ]
        for candidate in fewer:
            found = run(candidate)
            if found is not None:
                best, smaller = found, True
                break
    return best
