"""Archives among the records are looked into here, in a process that may break: lines of JSON in and out.

A question is a list of [path, name, PUID, format]; the answer a list of findings for each, or an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from packages.containers.sources import SourceUnreadable
from packages.package_file import FileFormat
from pipeline.confinement import answer_confined
from pipeline.formats.archives import inspect_container

_Found = list[dict[str, str]]


def _answer(question: Sequence[Sequence[str]]) -> dict[str, list[_Found] | str]:
    try:
        return {"found": [_look(*one) for one in question]}
    except PermissionError:  # it named another file, and that is closed to us: no answer
        raise
    except (SourceUnreadable, OSError) as error:
        return {"unreadable": str(error)}


def _look(path: str, name: str, puid: str, label: str) -> _Found:
    known = FileFormat(puid or None, label, "", "", "", "")
    return [found.as_json() for found in inspect_container(Path(path), name, known)]


if __name__ == "__main__":
    answer_confined(_answer)
