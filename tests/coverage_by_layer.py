"""Coverage by branch of each layer, and the files below 95 %: ``make coverage`` prints it.

Reads ``.coverage`` in the current folder. Exits 0 whatever it finds: a number is no judge.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from coverage import Coverage

_ENOUGH = 95.0


def _summaries() -> dict[str, tuple[int, int]]:
    """For each file: lines and branches that were taken, and all there are."""
    with TemporaryDirectory() as folder:
        out = Path(folder, "c.json")
        measured = Coverage()
        measured.load()
        measured.json_report(outfile=str(out))
        files = json.loads(out.read_text("utf-8"))["files"]
    found = {}
    for name, facts in files.items():
        one = facts["summary"]
        taken = one["covered_lines"] + one["covered_branches"]
        found[name] = (taken, one["num_statements"] + one["num_branches"])
    return found


def main() -> None:
    """The table."""
    layers: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    short = []
    for name, (taken, whole) in sorted(_summaries().items()):
        layer = name.partition("/")[0]
        layers[layer][0] += taken
        layers[layer][1] += whole
        if whole and 100 * taken / whole < _ENOUGH:
            short.append((100 * taken / whole, name))
    out = io.StringIO()
    for layer, (taken, whole) in sorted(layers.items()):
        print(f"{layer:10} {100 * taken / whole:5.1f} % of {whole:,} lines and branches", file=out)
    print(f"below {_ENOUGH:.0f} %: {len(short)} file(s)", file=out)
    for percent, name in sorted(short):
        print(f"  {percent:5.1f} %  {name}", file=out)
    print(out.getvalue(), end="")


if __name__ == "__main__":
    main()
