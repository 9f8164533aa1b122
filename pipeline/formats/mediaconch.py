"""MediaConch: whether Matroska and FFV1 keep their specifications. It does not decode."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from lxml import etree

from pipeline.formats.java import safely_named
from pipeline.formats.tool import ToolGaveUp, ToolState, Validity, Verdict, in_batches, run_tool

__all__ = ["MediaConch"]

_PATIENCE = 60.0
_SLOWEST = 4 << 20


class MediaConch:
    """The ``mediaconch`` program. One process a file: files of this kind are large."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._state: ToolState | None = None

    @property
    def name(self) -> str:
        return "MediaConch"

    def state(self) -> ToolState:
        if self._state is None:
            self._state = _look()
        return self._state

    def check(self, paths: Sequence[Path], puid: str) -> list[Verdict]:
        tool = f"MediaConch {self.state().version}"

        def ask(batch: Sequence[Path]) -> list[Verdict]:
            (path,) = batch
            seconds = self._patience + path.stat().st_size / _SLOWEST
            with safely_named([path]) as (link,):
                ran = run_tool(["nice", "-n", "10", "mediaconch", "-mc", "-fx", link], seconds=seconds)
            return [_verdict(ran.stdout, tool)]

        return in_batches(paths, ask, size=1, tool=tool)


def _look() -> ToolState:
    if shutil.which("mediaconch") is None:
        return ToolState("MediaConch", problem="not installed")
    try:
        ran = run_tool(["mediaconch", "--Version"], seconds=20)
    except ToolGaveUp as error:
        return ToolState("MediaConch", problem=f"it does not start: {error}")
    found = re.search(r"v?(\d+\.\d+(?:\.\d+)?)", ran.stdout.decode("utf-8", "replace"))
    if not found:
        return ToolState("MediaConch", problem="it does not say its version")
    if int(found.group(1).partition(".")[0]) < 18:
        return ToolState(
            "MediaConch", found.group(1), f"version {found.group(1)} is too old; 18.03 or newer"
        )
    return ToolState("MediaConch", found.group(1))


def _verdict(output: bytes, tool: str) -> Verdict:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        root = etree.fromstring(output, parser)
    except etree.XMLSyntaxError as error:
        raise ToolGaveUp(f"its answer is no whole XML ({error.msg})") from None
    failed = [
        str(test.getparent().get("icid") or test.getparent().get("name") or "a check")  # type: ignore[union-attr]
        for test in root.iter("{*}test")
        if test.get("outcome") == "fail"
    ]
    passed = any(test.get("outcome") == "pass" for test in root.iter("{*}test"))
    if failed:
        named = tuple(f"fails {name}" for name in dict.fromkeys(failed))
        return Verdict(Validity.NOT_VALID, tool, named[:20])
    if not passed:
        return Verdict(Validity.UNKNOWN, tool, ("it made no check",))
    return Verdict(Validity.WELL_FORMED, tool)
