"""The checks that come with Stele, in a process of their own: lines of JSON in and out.

A question is a list of [path, kind]; the answer a list of [validity, tool, messages, facts].
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TextIO

from pipeline.confinement import end_with_parent, enter_landlock, landlock_abi, leave_network, limit
from pipeline.formats.kinds import Kind
from pipeline.formats.tool import ValidationResult, Validity

_CHECKS = {
    Kind.PDF: ("pdf", "check"),
    Kind.IMAGE: ("image", "check"),
    Kind.JP2: ("jp2", "check"),
    Kind.XML: ("xml_document", "check"),
    Kind.ZIP: ("container", "check_zip"),
    Kind.OPC: ("container", "check_opc"),
    Kind.ODF: ("container", "check_odf"),
    Kind.OFD: ("container", "check_ofd"),
    Kind.SIARD: ("container", "check_siard"),
    Kind.EPUB: ("container", "check_epub"),
    Kind.GZIP: ("container", "check_gzip"),
    Kind.TAR: ("container", "check_tar"),
    Kind.MEDIA: ("media", "check"),
    Kind.TEXT: ("plain_text", "check"),
}
_MAX_ADDRESSES = 6 << 30
_MAX_MEMORY_BYTES = 2 << 30  # for one batch: a file that asks for more has no verdict
_MAX_FILE_BYTES = 1 << 30
_MAX_OPEN_FILES = 1024
_SYSTEM = (
    sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/fonts", "/dev/urandom",
    str(Path(__file__).parents[2] / "pipeline"), str(Path(__file__).parents[2] / "packages"),
    str(Path(__file__).parents[2] / "schemas"),
)  # fmt: skip


def _check_of(kind: Kind) -> Callable[[str], ValidationResult]:
    module, function = _CHECKS[kind]  # imported when first needed: most nightly runs need few
    found: Callable[[str], ValidationResult] = getattr(
        import_module(f"pipeline.formats.checks.{module}"), function
    )
    return found


def _judge(path: str, kind: str) -> ValidationResult:
    try:
        return _check_of(Kind(kind))(path)
    except MemoryError:
        said = f"it needs more than {_MAX_MEMORY_BYTES >> 20} MiB of memory to be checked"
        return ValidationResult(Validity.UNKNOWN, f"Stele, {kind}", (said,))
    except Exception as error:  # a library that breaks on a file has no verdict on it
        said = f"the check failed: {type(error).__name__}: {error}"[:300]
        return ValidationResult(Validity.UNKNOWN, f"Stele, {kind}", (said,))


def _answer(question: list[tuple[str, str]], out: TextIO) -> None:
    verdicts = [_judge(path, kind) for path, kind in question]
    answer = [[v.validity, v.tool, list(v.messages), dict(v.facts)] for v in verdicts]
    out.write(json.dumps(answer) + "\n")
    out.flush()


def _answer_confined(question: list[tuple[str, str]], out: TextIO, *, abi: int) -> None:
    """In a child of its own, which can open just these files: what one refers to stays closed to it.

    A child that dies answers nothing, and then nor does this process.
    """
    for kind in {kind for _, kind in question}:
        _check_of(Kind(kind))
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status:
            os._exit(1)
        return
    try:
        end_with_parent()
        if abi:
            files = (os.path.realpath(path) for path, _ in question)
            enter_landlock([*_SYSTEM, *files], ["/dev/null"])
        _answer(question, out)
        os._exit(0)
    except BaseException:
        os._exit(1)


def _main() -> None:
    os.nice(10)
    limit(
        {
            "AS": _MAX_ADDRESSES,
            "DATA": _MAX_MEMORY_BYTES,
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
        _answer_confined(json.loads(line), out, abi=abi)


if __name__ == "__main__":
    _main()
