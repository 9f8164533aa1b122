"""MediaConch: whether Matroska and FFV1 keep their specifications. It does not decode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.formats.tool import (
    ToolState,
    ValidationResult,
    Validity,
    and_its_folder,
    in_batches,
    program_state,
    run_tool,
    safely_named,
    xml_answer,
)

__all__ = ["MediaConch"]

_TIMEOUT_S = 60.0
_MIN_BYTES_PER_S = 4 << 20


class MediaConch:
    """The ``mediaconch`` program. One process a file: files of this kind are large."""

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._state: ToolState | None = None

    @property
    def name(self) -> str:
        return "MediaConch"

    def state(self) -> ToolState:
        if self._state is None:
            command, version = ["mediaconch", "--Version"], r"v?(\d+\.\d+(?:\.\d+)?)"
            self._state = program_state("MediaConch", command, version, (18, 0))
        return self._state

    def check(self, paths: Sequence[Path], puid: str) -> list[ValidationResult]:
        tool = f"MediaConch {self.state().version}"

        def ask(batch: Sequence[Path]) -> list[ValidationResult]:
            (path,) = batch
            seconds = self._timeout_s + path.stat().st_size / _MIN_BYTES_PER_S
            with safely_named([path]) as (link,):
                # It remembers reports in its home, which is a new one for each run.
                command = ["mediaconch", "-mc", "-fx", str(link)]
                ran = run_tool(command, seconds=seconds, reads=and_its_folder([link]))
            return [_verdict(ran.stdout, tool)]

        return in_batches(paths, ask, size=1, tool=tool)


def _verdict(output: bytes, tool: str) -> ValidationResult:
    root = xml_answer(output)
    failed = [
        str(test.getparent().get("icid") or test.getparent().get("name") or "a check")  # type: ignore[union-attr]
        for test in root.iter("{*}test")
        if test.get("outcome") == "fail"
    ]
    passed = any(test.get("outcome") == "pass" for test in root.iter("{*}test"))
    if failed:
        named = tuple(f"fails {name}" for name in dict.fromkeys(failed))
        return ValidationResult(Validity.NOT_VALID, tool, named[:20])
    if not passed:
        return ValidationResult(Validity.UNKNOWN, tool, ("it made no check",))
    return ValidationResult(Validity.WELL_FORMED, tool)
