"""ffmpeg as a decode test: every frame and sample decoded, checksums of slices compared.

It exits 0 on broken files too: any complaint at all is the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.formats.tool import (
    ToolState,
    Validity,
    Verdict,
    in_batches,
    program_state,
    run_tool,
    safely_named,
)

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
            command, version = ["ffmpeg", "-version"], r"ffmpeg version n?(\d[\d.]*)"
            self._state = program_state("ffmpeg", command, version, (4, 0))
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
