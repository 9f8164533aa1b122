"""ffmpeg as a decode test: every frame and sample decoded, checksums of slices compared.

It exits 0 on broken files too: any complaint at all is the verdict.
"""

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
)

__all__ = ["FROM_A_FILE", "FfmpegDecode"]

_TIMEOUT_S = 120.0
_MIN_BYTES_PER_S = 1 << 20  # bytes a second; compressed video decodes slowly

_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,dv,eac3,flac,flv,gif,gxf,h264,hevc,m4v,matroska,mjpeg,mlp,mov,"
    "mp3,mpc,mpeg,mpegts,mpegvideo,mxf,ogg,rm,swf,tta,voc,w64,wav,wv,webm"
)
FROM_A_FILE = ("-protocol_whitelist", "file", "-format_whitelist", _DEMUXERS)
"""Options before an input: formats that name other files (playlists, manifests) are not opened at all,
and nothing is fetched."""


class FfmpegDecode:
    """The ``ffmpeg`` program. One process a file: files of this kind are large."""

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._state: ToolState | None = None

    @property
    def name(self) -> str:
        return "ffmpeg"

    def state(self) -> ToolState:
        if self._state is None:
            command, version = ["ffmpeg", "-version"], r"ffmpeg version n?(\d[\d.]*)"
            self._state = program_state("ffmpeg", command, version, (4, 0))
        return self._state

    def check(self, paths: Sequence[Path], puid: str) -> list[ValidationResult]:
        tool = f"ffmpeg {self.state().version} (decoded)"

        def ask(batch: Sequence[Path]) -> list[ValidationResult]:
            (path,) = batch
            seconds = self._timeout_s + path.stat().st_size / _MIN_BYTES_PER_S
            with safely_named([path]) as (link,):
                ran = run_tool(
                    ["ffmpeg", "-nostdin", "-v", "error", *FROM_A_FILE, "-err_detect",
                     "crccheck+explode", "-xerror", "-i", f"file:{link}", "-map", "0:v?", "-map", "0:a?",
                     "-f", "null", "-"],
                    seconds=seconds, reads=and_its_folder([link]),
                )  # fmt: skip
            said = [line.replace(str(link), "file") for line in ran.stderr.splitlines() if line.strip()]
            if said or ran.code:
                return [
                    ValidationResult(
                        Validity.NOT_VALID, tool, tuple(said[:5]) or (f"exit code {ran.code}",)
                    )
                ]
            return [ValidationResult(Validity.WELL_FORMED, tool)]

        return in_batches(paths, ask, size=1, tool=tool)
