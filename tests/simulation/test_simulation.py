"""2,000 seeds of the simulation in every run; a failing one is shrunk and tells its story."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from simulation.mutants import MUTANTS
from simulation.run import Scenario, collect_garbage_seldom, run, scenario_of, shrunk
from simulation.world import Fault

_SEEDS = int(os.environ.get("STELE_SEEDS", "2000"))
_CHUNK = 50


def _first_failure(first: int) -> str:
    """In a process of its own: what the first of these seeds that fails has to tell."""
    collect_garbage_seldom()
    for seed in range(first, min(first + _CHUNK, _SEEDS)):
        failure = run(scenario_of(seed))
        if failure is not None:
            small = shrunk(failure)
            story = "\n".join(small.story[-40:])
            return f"seed {seed}: {small.violation}\n{small.scenario}\n{story}"
    return ""


def test_no_promise_breaks() -> None:
    """Whatever is killed, delayed, spoilt or cut off: every promise holds, and all can be finished."""
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=get_context("spawn")) as pool:
        for said in pool.map(_first_failure, range(0, _SEEDS, _CHUNK)):
            assert not said, said


_TWO = (("one", "required"), ("two", "required"))
_FOUND_BEFORE = {
    "a removal is learned by a catalogue older than it": Scenario(
        753, _TWO, (("remove", 4, "A"),), (Fault(0, "old backup", victim=0, at_end=True),),
        in_turn=True, redone=False,
    ),
    "what is left of a damaged copy is not removed by an update": Scenario(
        709, (("one", "required"), ("two", "secondary")), (("update", 2, "A"),),
        (Fault(1, "lost object", "two", 21), Fault(1, "lost object", "two", 46)), in_turn=True, redone=False,
    ),
    "a late write of the root does not take the head back": Scenario(
        979, (("one", "required"), ("two", "secondary")),
        (("update", 5, "A"), ("release", 5, "A"), ("update", 3, "B")),
        (Fault(2, "pause", victim=0), Fault(10, "stall", number=160, victim=2, at_write=True)),
        in_turn=True, redone=False,
    ),
    "a late inventory is not written over another's": Scenario(
        819, _TWO, (("update", 5, "A"), ("update", 5, "B")),
        (Fault(7, "stall", number=400, victim=0, at_write=True),), in_turn=True, redone=True,
    ),
    "who finds another version after losing the lease says so": Scenario(
        83, _TWO, (("update", 3, "A"), ("update", 5, "B")), (Fault(5, "stall", number=160, victim=0),),
        in_turn=True, redone=True,
    ),
    "a planned version whose predecessor lost its sidecar is finished": Scenario(
        827, _TWO, (("rebuild", 5, "A"), ("update", 3, "A")),
        (Fault(10, "kill", victim=1, at_write=True), Fault(1, "lost object", "one", 59)),
        in_turn=True, redone=True,
    ),
    "a rebuild does not forget an approval given meanwhile": Scenario(
        403216, (("one", "required"),), (("remove", 4, "A"), ("audit", 4, "B"), ("rebuild", 2, "B")),
        (Fault(26, "kill", victim=0), Fault(12, "short read", "one", 200)), in_turn=False, redone=True,
    ),
    "a version that an old catalogue does not know stays, though its predecessor's inventory is lost": Scenario(
        507391, (("one", "required"), ("two", "behind")), (("update", 3, "A"),),
        (Fault(0, "old backup", victim=0, at_end=True), Fault(1, "lost object", "one", 28),
         Fault(1, "rot", "one", 53), Fault(1, "lost object", "one", 59)), in_turn=True, redone=False,
    ),
    "a version that an update committed and could not bring further is not repaired away": Scenario(
        24841, _TWO, (("update", 4, "B"),),
        (Fault(1, "rot", "one", 9), Fault(1, "rot", "one", 43), Fault(1, "rot", "one", 7)),
        in_turn=True, redone=False,
    ),
    "a begun version of which something has rotted everywhere is taken back and done again": Scenario(
        35794, (("one", "required"), ("two", "secondary")), (("update", 2, "B"), ("nightly", 2, "A")),
        (Fault(71, "kill", number=160, victim=1), Fault(139, "lost object", "one", 30),
         Fault(141, "catalogue down", number=140), Fault(179, "stall at the catalogue", number=20)),
        in_turn=False, redone=True,
    ),
    "a plan is not dropped because its store was read wrong once": Scenario(
        26428, (("one", "required"),), (("update", 5, "B"), ("audit", 4, "A")),
        (Fault(52, "flipped read", "one", 30), Fault(47, "lost write", "one", 5)), in_turn=False, redone=True,
    ),
    "a copy that one wrong reading hid from an ingest is read before it is called verified": Scenario(
        312305, _TWO, (("ingest", 3, "A"), ("ingest", 3, "A")),
        (Fault(22, "kill", number=400, victim=0, at_write=True),
         Fault(3, "stall", number=160, victim=1, at_write=True), Fault(92, "flipped read", "two", 5)),
        in_turn=True, redone=False,
    ),
    "who was overtaken before its last write commits nothing": Scenario(
        411114, _TWO, (("update", 5, "A"), ("nightly", 3, "B"), ("update", 5, "B")),
        (Fault(59, "failed read", "two", 200), Fault(262, "kill machine", number=160),
         Fault(146, "stall at the catalogue", number=160)), in_turn=False, redone=True,
    ),
    "an update that was silent for too long says that another took over": Scenario(
        689, _TWO, (("update", 3, "A"), ("update", 5, "B")),
        (Fault(12, "stall", number=400, victim=0, at_write=True),), in_turn=True, redone=False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("scenario", _FOUND_BEFORE.values(), ids=_FOUND_BEFORE.keys())
def test_what_was_found_before(scenario: Scenario) -> None:
    """Scenarios that failed once, shrunk."""
    assert run(scenario) is None


def test_a_seed_replays_exactly() -> None:
    """The same seed gives the same run, step by step; otherwise no failure could be looked into."""
    from simulation import run as module

    stories = []
    original = module._recover
    for _ in range(2):
        told: list[str] = []

        def watched(
            scenario: object, setting: object, started: object, model: object, told: list[str] = told
        ) -> None:
            original(scenario, setting, started, model)  # type: ignore[arg-type]
            told.extend(setting.world.log)  # type: ignore[attr-defined]
            told.append(str(setting.world.steps))  # type: ignore[attr-defined]

        module._recover = watched  # type: ignore[assignment]
        try:
            for seed in (3, 17, 40):
                assert run(scenario_of(seed)) is None
        finally:
            module._recover = original
        stories.append(told)
    assert stories[0] == stories[1]


def test_every_mutant_still_is_one() -> None:
    """The text that a mutant changes is there, once: otherwise it would test nothing any more."""
    root = Path(__file__).parent.parent.parent
    for mutant in MUTANTS:
        for file, old, _ in ((mutant.file, mutant.old, mutant.new), *mutant.also):
            assert (root / file).read_text("utf-8").count(old) == 1, mutant.name
