"""JPEG 2000 part 1 by jpylyzer, which notices what JHOVE lets pass: damage inside the codestream."""

from __future__ import annotations

from importlib.metadata import version

from jpylyzer import jpylyzer

from pipeline.formats.tool import ValidationResult, Validity

_TOOL = f"jpylyzer {version('jpylyzer')}"


def check(path: str) -> ValidationResult:
    """VALID or NOT_VALID by its isValid; the tests that failed are the messages."""
    if not _holds_bytes(path):
        return ValidationResult(Validity.NOT_VALID, _TOOL, ("the file is empty",))
    result = jpylyzer.checkOneFile(path, "jp2")
    said = result.findtext("isValid")
    if said not in ("True", "False"):
        reason = result.findtext("statusInfo/failureMessage") or "no answer"
        return ValidationResult(Validity.UNKNOWN, _TOOL, (reason,))
    facts = {}
    for name in ("height", "width", "nC"):
        value = result.findtext(f"properties/jp2HeaderBox/imageHeaderBox/{name}")
        if value:
            facts[{"nC": "components"}.get(name, name)] = value
    tests = result.find("tests")
    failed = () if tests is None else tuple(e.tag for e in tests.iter() if e.text == "False")
    validity = Validity.VALID if said == "True" else Validity.NOT_VALID
    return ValidationResult(validity, _TOOL, tuple(f"failed test: {tag}" for tag in failed[:20]), facts)


def _holds_bytes(path: str) -> bool:
    with open(path, "rb") as stream:
        return bool(stream.read(1))
