"""ffmpeg as a decode test: every frame and sample decoded, checksums of slices compared.

It exits 0 on broken files too: any complaint at all is the verdict.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.formats.java import safely_named
from pipeline.formats.tool import ToolGaveUp, ToolState, Validity, Verdict, in_batches, run_tool

__all__ = ["FfmpegDecode"]

_PATIENCE = 120.0
_SLOWEST = 1 << 20  # bytes a second; compressed video decodes slowly


class FfmpegDecode:
    """The ``ffmpeg`` program. One process a file: files of this kind are large."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._state: ToolState | None = None

    @property
    def name(self) -> str:
        return "ffmpeg"

    def state(self) -> ToolState:
        if self._state is None:
            self._state = _look()
        return self._state

    def check(self, paths: Sequence[Path], puid: str) -> list[Verdict]:
        tool = f"ffmpeg {self.state().version} (decoded)"

        def ask(batch: Sequence[Path]) -> list[Verdict]:
            (path,) = batch
            seconds = self._patience + path.stat().st_size / _SLOWEST
            with safely_named([path]) as (link,):
                ran = run_tool(
                    ["nice", "-n", "10", "ffmpeg", "-nostdin", "-v", "error", "-err_detect",
                     "crccheck+explode", "-xerror", "-i", f"file:{link}", "-map", "0:v?", "-map", "0:a?",
                     "-f", "null", "-"],
                    seconds=seconds,
                )  # fmt: skip
            said = [line.replace(str(link), "file") for line in ran.stderr.splitlines() if line.strip()]
            if said or ran.code:
                return [Verdict(Validity.NOT_VALID, tool, tuple(said[:5]) or (f"exit code {ran.code}",))]
            return [Verdict(Validity.WELL_FORMED, tool)]

        return in_batches(paths, ask, size=1, tool=tool)


def _look() -> ToolState:
    if shutil.which("ffmpeg") is None:
        return ToolState("ffmpeg", problem="not installed")
    try:
        ran = run_tool(["ffmpeg", "-version"], seconds=20)
    except ToolGaveUp as error:
        return ToolState("ffmpeg", problem=f"it does not start: {error}")
    found = re.search(r"ffmpeg version n?(\d+)(\.[\d.]+)?", ran.stdout.decode("utf-8", "replace"))
    if not found:
        return ToolState("ffmpeg", problem="it does not say its version")
    version = found.group(1) + (found.group(2) or "")
    if int(found.group(1)) < 4:
        return ToolState("ffmpeg", version, f"version {version} is too old; 4 or newer is needed")
    return ToolState("ffmpeg", version)
