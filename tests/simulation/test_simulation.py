"""2,000 seeds of the simulation in every run; a failing one is shrunk and tells its story."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from simulation.mutants import MUTANTS
from simulation.run import collect_garbage_seldom, run, scenario_of, shrunk

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
        assert (root / mutant.file).read_text("utf-8").count(mutant.old) == 1, mutant.name
