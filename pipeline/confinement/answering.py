"""A program of ours that answers lines of JSON about files, of which it can open no others."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from pipeline.confinement.launcher import (
    end_with_parent,
    enter_landlock,
    landlock_abi,
    leave_network,
    limit,
)

__all__ = ["MAX_ANSWERING_BYTES", "answer_confined"]

MAX_ANSWERING_BYTES = 2 << 30
"""Of memory, for one question: a file that asks for more gets no answer."""
_MAX_ADDRESSES = 6 << 30
_MAX_FILE_BYTES = 1 << 30
_MAX_OPEN_FILES = 1024
_CODE = Path(__file__).parents[2]
_SYSTEM = (
    sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/fonts", "/dev/urandom",
    str(_CODE / "pipeline"), str(_CODE / "packages"), str(_CODE / "schemas"),
)  # fmt: skip

_Question = Sequence[Sequence[Any]]
"""About some files: of each its path, and whatever else there is to say."""


def answer_confined(
    answer: Callable[[_Question], Any], prepare: Callable[[_Question], None] = lambda _: None
) -> None:
    """Answer every line of standard input by one of output, until there are no more.

    Each in a child of its own, which can open just the files in question: what one of them refers to stays
    closed to it. ``prepare`` runs before, in this process, and imports what many children will need. A
    child that dies answers nothing, and then nor does this process.
    """
    os.nice(10)
    limit(
        {
            "AS": _MAX_ADDRESSES,
            "DATA": MAX_ANSWERING_BYTES,
            "CORE": 0,
            "FSIZE": _MAX_FILE_BYTES,
            "NOFILE": _MAX_OPEN_FILES,
        }
    )
    with suppress(OSError):  # the tools' state says so
        leave_network()
    abi = landlock_abi()
    out = sys.stdout
    sys.stdout = sys.stderr  # some libraries talk
    for line in sys.stdin:
        question = json.loads(line)
        prepare(question)
        _in_a_child(answer, question, out, abi=abi)


def _in_a_child(answer: Callable[[_Question], Any], question: _Question, out: TextIO, *, abi: int) -> None:
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status:
            os._exit(1)
        return
    try:
        end_with_parent()
        if abi:
            files = (os.path.realpath(path) for path, *_ in question)
            enter_landlock([*_SYSTEM, *files], ["/dev/null"])
        out.write(json.dumps(answer(question)) + "\n")
        out.flush()
        os._exit(0)
    except BaseException:
        os._exit(1)
