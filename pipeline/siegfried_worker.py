"""Siegfried in a process of its own: a line of file names in, a line of answers out, both JSON.

A program, not a module to import: it must start fast, so it imports nothing of ours. In a process
of its own because pygfried serves one caller at a time, deadlocks after ``fork``, and would take
the whole ingest with it if a hostile file ever crashed it.
"""

import json
import os
import sys

import pygfried


def _answer(names: list[str]) -> dict[str, object]:
    result = pygfried.identify_many(names, workers=1)
    numbers: dict[tuple[str, ...], int] = {}
    files = []
    for file in result["files"]:
        key: tuple[str, ...] = ("", "", "", "", "", "", file["errors"])
        if file["matches"]:
            m = file["matches"][0]
            key = (m["id"], m["format"], m["version"], m["mime"], m["basis"], m["warning"], file["errors"])
        files.append(numbers.setdefault(key, len(numbers)))
    return {
        "version": result["siegfried"],
        "signatures": "; ".join(one["details"] for one in result["identifiers"]),
        "formats": list(numbers),
        "files": files,  # numbers of formats, in the order of the names
    }


def _main() -> None:
    os.nice(10)  # takes what the receiving process leaves; alone, it has the machine to itself
    for line in sys.stdin:
        try:
            answer = _answer(json.loads(line))
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            answer = {"failure": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
