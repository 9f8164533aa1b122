"""``python -m fuzzing FIRST COUNT`` (from ``tests/``): so many archives and so many sets of documents."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from fuzzing.run import judge_archive, judge_documents
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace


def main() -> int:
    """The number of inputs that were judged wrongly, as exit code."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        place, home = Path(folder, "in"), Path(folder, "home")
        place.mkdir()
        make_workspace(home)
        settings = load_settings(home)
        agreement, archive = choose_agreement(settings, None), build_archive(settings)
        for name, judge in (("archives", judge_archive), ("sets of documents", judge_documents)):
            began = time.monotonic()
            for seed in range(first, first + count):
                wrong = judge(seed, archive, agreement, place)
                if wrong:
                    failed += 1
                    print(wrong, flush=True)
            print(f"{count} {name}: {time.monotonic() - began:.1f} s, {failed} wrong so far", flush=True)
        outside = sorted(path.name for path in Path(folder).iterdir())
        if outside != ["home", "in"]:
            print(f"written outside: {outside}")
            failed += 1
        archive.tools.close()
        archive.catalogue.close()
    return min(failed, 100)


if __name__ == "__main__":
    sys.exit(main())
