"""Siegfried in a process of its own: a line of file names in, a line of answers out, both JSON.

In a process of its own because pygfried serves one caller at a time, deadlocks after ``fork``, and
would take the whole ingest with it if a hostile file ever crashed it. Arguments are folders with
signatures of our own, which have the last word where PRONOM has no narrower one.
"""

import json
import os
import sys
from pathlib import Path

from pipeline.confinement import read_only
from pipeline.formats.worker import MAX_MEMORY_BYTES

if __name__ == "__main__":
    read_only(MAX_MEMORY_BYTES)  # before pygfried starts its threads
import pygfried

from pipeline.formats.local_signatures import LocalFormat, load_signatures, match_local, too_many_members

_Answer = tuple[str, str, str, str, str, str, str]
"""PUID, format, version, media type, basis, warning, error."""


def _answer(names: list[str], ours: tuple[LocalFormat, ...]) -> dict[str, object]:
    flooded = {name: said for name in names if (said := too_many_members(name))}
    result = pygfried.identify_many([name for name in names if name not in flooded], workers=1)
    numbers: dict[_Answer, int] = {}
    files = []
    answers = iter(result["files"])
    for name in names:
        if name in flooded:  # Siegfried would hold the whole directory to look for what is in it
            zipped: _Answer = ("x-fmt/263", "ZIP Format", "", "application/zip", flooded[name], "", "")
            files.append(numbers.setdefault(zipped, len(numbers)))
            continue
        file = next(answers)
        key: _Answer = ("", "", "", "", "", "", file["errors"])
        if file["matches"]:
            m = file["matches"][0]
            key = (m["id"], m["format"], m["version"], m["mime"], m["basis"], m["warning"], file["errors"])
        found = match_local(name, key[0] or "UNKNOWN", ours)
        if found:
            key = _local(*found, key[0] or "UNKNOWN", file["errors"])
        files.append(numbers.setdefault(key, len(numbers)))
    return {
        "version": result["siegfried"],
        "signatures": "; ".join(one["details"] for one in result["identifiers"]),
        "formats": list(numbers),
        "files": files,  # numbers of formats, in the order of the names
    }


def _local(one: LocalFormat, basis: str, pronom: str, errors: str) -> _Answer:
    said = f"own signature: {basis}; PRONOM alone says {pronom}"
    return one.id, one.name, one.version, one.mime, said, "", errors


def _main() -> None:
    os.nice(10)  # takes what the receiving process leaves; alone, it has the machine to itself
    ours = load_signatures([Path(folder) for folder in sys.argv[1:]])
    for line in sys.stdin:
        try:
            answer = _answer(json.loads(line), ours)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            answer = {"failure": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
