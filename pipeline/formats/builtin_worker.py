"""The checks that come with Stele, in a process of their own: lines of JSON in and out.

A question is a list of [path, kind]; the answer a list of [validity, tool, messages, facts].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module

from pipeline.confinement import MAX_ANSWERING_BYTES, answer_confined
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
        said = f"it needs more than {MAX_ANSWERING_BYTES >> 20} MiB of memory to be checked"
        return ValidationResult(Validity.UNKNOWN, f"Stele, {kind}", (said,))
    except Exception as error:  # a library that breaks on a file has no verdict on it
        said = f"the check failed: {type(error).__name__}: {error}"[:300]
        return ValidationResult(Validity.UNKNOWN, f"Stele, {kind}", (said,))


def _answer(question: Sequence[Sequence[str]]) -> list[list[object]]:
    verdicts = [_judge(path, kind) for path, kind in question]
    return [[v.validity, v.tool, list(v.messages), dict(v.facts)] for v in verdicts]


def _prepare(question: Sequence[Sequence[str]]) -> None:
    for kind in {kind for _, kind in question}:
        _check_of(Kind(kind))


if __name__ == "__main__":
    answer_confined(_answer, _prepare)
