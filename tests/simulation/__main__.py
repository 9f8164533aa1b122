"""``python -m simulation SUBMITTED_REPRESENTATION COUNT``: run seeds, print every one that fails, shrunk, with its story."""

from __future__ import annotations

import sys
import time

from simulation.run import collect_garbage_seldom, run, scenario_of, shrunk


def main() -> int:
    """The number of seeds that failed, as exit code."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    most = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    run(scenario_of(first))  # everything is imported and the catalogue's template made
    collect_garbage_seldom()
    began, failed = time.monotonic(), 0
    for seed in range(first, first + count):
        failure = run(scenario_of(seed))
        if failure is None:
            continue
        failed += 1
        small = shrunk(failure)
        print(f"seed {seed}: {failure.violation}")
        print(f"  shrunk to {small.scenario}")
        print(f"  {small.violation}")
        print("  " + "\n  ".join(small.story[-60:]), flush=True)
        if failed >= most:
            break
    seconds = time.monotonic() - began
    done = seed - first + 1
    print(f"{done} seeds, {failed} failed, {seconds:.1f} s, {1000 * seconds / done:.1f} s per thousand")
    return min(failed, 100)


if __name__ == "__main__":
    sys.exit(main())
