"""The checks that come with Stele, in a process of their own: lines of JSON in and out.

A question is a list of [path, kind]; the answer a list of [validity, tool, messages, facts].
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from importlib import import_module

from pipeline.formats.kinds import Kind
from pipeline.formats.tool import Validity, Verdict

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
_MEMORY = 6 << 30  # of address space: a file that asks for more fails alone


def _check_of(kind: Kind) -> Callable[[str], Verdict]:
    module, function = _CHECKS[kind]  # imported when first needed: most nights need few
    found: Callable[[str], Verdict] = getattr(import_module(f"pipeline.formats.checks.{module}"), function)
    return found


def _judge(path: str, kind: str) -> Verdict:
    try:
        return _check_of(Kind(kind))(path)
    except Exception as error:  # a library that breaks on a file has no verdict on it
        said = f"the check failed: {type(error).__name__}: {error}"[:300]
        return Verdict(Validity.UNKNOWN, f"Stele, {kind}", (said,))


def _main() -> None:
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    out = sys.stdout
    sys.stdout = sys.stderr  # some libraries talk
    for line in sys.stdin:
        verdicts = [_judge(path, kind) for path, kind in json.loads(line)]
        answer = [[v.validity, v.tool, list(v.messages), dict(v.facts)] for v in verdicts]
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    _main()
