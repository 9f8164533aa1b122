"""Sound and video by ffmpeg: FLAC and FFV1 in Matroska to keep, MP3 and MP4 to hear and see.

A lossless copy counts when every decoded frame of every stream has the digest it has in the source.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.formats.ffmpeg import FROM_A_FILE, FfmpegDecode
from pipeline.formats.normalise.converter import Converted, failed, fresh, most_written
from pipeline.formats.tool import ToolError, ToolState, and_its_folder, run_tool, safely_named

_TIMEOUT_S = 120.0
_MIN_BYTES_PER_S = 200_000  # bytes a second: encoders are slow
_WHOLE = {"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_u8"}
"""Sound in whole numbers that FLAC holds exactly."""
_MAX_DIFFERENCE_S = 0.25  # seconds two durations may differ: the last packets are padded


def media_converters() -> tuple[MediaByFfmpeg, ...]:
    """FLAC, FFV1, MP3, MP4."""
    ffv1 = "-map 0:v -map 0:a? -c:v ffv1 -level 3 -coder 1 -context 1 -g 1 -slices 16 -slicecrc 1"
    mp4 = "-map 0:v:0 -map 0:a:0? -c:v libx264 -preset veryfast -crf 23 -pix_fmt yuv420p"
    mp4 += " -movflags +faststart -c:a aac -vf pad=ceil(iw/2)*2:ceil(ih/2)*2"
    return (
        MediaByFfmpeg("audio-flac", "FLAC", ".flac", "-map 0:a -c:a flac", lossless=True),
        MediaByFfmpeg("video-ffv1", "FFV1 in Matroska", ".mkv", ffv1, lossless=True),
        MediaByFfmpeg("audio-mp3", "MP3", ".mp3", "-map 0:a:0 -c:a libmp3lame -q:a 3", lossless=False),
        MediaByFfmpeg("video-mp4", "MP4 (H.264, AAC)", ".mp4", mp4, lossless=False),
    )


class MediaByFfmpeg:
    """The ``ffmpeg`` program; one process a file."""

    def __init__(self, name: str, makes: str, suffix: str, options: str, *, lossless: bool) -> None:
        self._name = name
        self._makes = makes
        self._suffix = suffix
        self._options = options.split()
        self._lossless = lossless
        self._decoder = FfmpegDecode()

    @property
    def name(self) -> str:
        return self._name

    @property
    def makes(self) -> str:
        return self._makes

    def state(self) -> ToolState:
        return self._decoder.state()

    def convert(self, sources: Sequence[Path], folder: Path) -> list[Converted]:
        folder.mkdir(parents=True)
        tool = f"ffmpeg {self.state().version}"
        return [
            self._one(source, folder / f"{number}{self._suffix}", tool)
            for number, source in enumerate(sources)
        ]

    def _one(self, source: Path, result: Path, tool: str) -> Converted:
        if cut := _cut_short(source):
            return failed(source, tool, cut)
        seconds = _TIMEOUT_S + source.stat().st_size / _MIN_BYTES_PER_S
        try:
            with safely_named([source]) as (link,):
                options = [*self._options, *(_carefully(link) if self._suffix == ".mkv" else ())]
                ran = run_tool(
                    ["ffmpeg", "-nostdin", "-v", "error", "-y", *FROM_A_FILE, "-i", f"file:{link}",
                     *options, f"file:{result}"],
                    seconds=seconds, reads=and_its_folder([link]), writes=[result.parent],
                    max_file_bytes=most_written(source),
                )  # fmt: skip
                if ran.code or not fresh(result):
                    said = ran.stderr.strip().replace(str(link), "the file")
                    return failed(source, tool, said[-300:] or f"exit code {ran.code}")
                said = ran.stderr.strip().replace(str(link), "the file")
                if said:  # it goes on after errors in the source: then the copy is not the source
                    return failed(source, tool, f"errors while decoding: {said[:300]}")
                compared, problem = self._compared(link, result, seconds, carried="copy" in options)
        except ToolError as error:
            return failed(source, tool, f"the tool gave up: {error}")
        if problem:
            return failed(source, tool, problem)
        return Converted(source, result, tool, compared, (), self._lossless)

    def _compared(
        self, source: Path, result: Path, seconds: float, *, carried: bool
    ) -> tuple[tuple[str, ...], str]:
        """``carried`` says that the sound was carried over, so that its packets are compared."""
        before, after = _facts(source), _facts(result)
        if (
            not after.duration
            or abs(before.duration - after.duration) > _MAX_DIFFERENCE_S + 0.01 * before.duration
        ):
            return (), f"{before.duration:.2f} s became {after.duration:.2f} s"
        said = [f"{before.duration:.2f} s = {after.duration:.2f} s"]
        if self._lossless:
            if before.streams != after.streams:
                return (), f"{before.streams} became {after.streams}"
            sound = "copy" if carried else "pcm_s32le"
            if _digests(source, sound, seconds) != _digests(result, sound, seconds):
                return (), "decoded frames or samples differ"
            said += [before.streams, "SHA-256 of all decoded frames and samples is equal"]
            said += ["the sound is carried over as it was"] if carried else []
        return tuple(said), ""


def _carefully(path: Path) -> list[str]:
    """What FFV1 needs so that really nothing is lost. Raises ToolError.

    Decoded AAC and the like are fractions that FLAC could only round: such sound is carried over as
    it is. Pictures of full range, as cameras write them, would be squeezed into the range of
    television without a word.
    """
    words = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "stream=codec_type,codec_name,pix_fmt",
        "-of",
        "json",
    ]
    ran = run_tool([*words, *FROM_A_FILE, f"file:{path}"], seconds=60, reads=and_its_folder([path]))
    try:
        streams = json.loads(ran.stdout)["streams"]
    except (ValueError, KeyError) as error:
        raise ToolError(f"ffprobe said nothing of use: {error}") from None
    sound = [one.get("codec_name") for one in streams if one.get("codec_type") == "audio"]
    pixels = [one.get("pix_fmt", "") for one in streams if one.get("codec_type") == "video"]
    options = ["-c:a", "flac" if all(codec in _WHOLE for codec in sound) else "copy"]
    if pixels and all(one.startswith("yuvj") for one in pixels):
        same = pixels[0].replace("yuvj", "yuv")
        options += ["-vf", f"scale=in_range=pc:out_range=pc,format={same}", "-color_range", "pc"]
    return options


def _cut_short(path: Path) -> str:
    """Whether a RIFF file (WAVE, AVI) ends before its own header says; ffmpeg does not mind."""
    with path.open("rb") as stream:
        start = stream.read(8)
    said = int.from_bytes(start[4:8], "little") + 8
    size = path.stat().st_size
    if start[:4] == b"RIFF" and said not in (8, 0xFFFFFFFF + 8) and said > size + 1:
        return f"cut short: its header says {said} bytes, there are {size}"
    return ""


class _Facts:
    def __init__(self, duration: float, streams: str) -> None:
        self.duration = duration
        self.streams = streams


def _facts(path: Path) -> _Facts:
    """Duration in seconds, and how many streams of which kind. Raises ToolError."""
    words = ["ffprobe", "-v", "error", "-show_entries", "format=duration:stream=codec_type", "-of", "json"]
    ran = run_tool([*words, *FROM_A_FILE, f"file:{path}"], seconds=60, reads=and_its_folder([path]))
    try:
        said = json.loads(ran.stdout)
        kinds = [one.get("codec_type", "") for one in said.get("streams", ())]
        counted = ", ".join(
            f"{kinds.count(kind)} {kind} stream(s)" for kind in ("video", "audio") if kind in kinds
        )
        return _Facts(float(said.get("format", {}).get("duration") or 0), counted)
    except (ValueError, KeyError, AttributeError) as error:
        raise ToolError(f"ffprobe said nothing of use: {error}") from None


def _digests(path: Path, sound: str, seconds: float) -> list[str]:
    """A digest over all decoded frames or samples of each stream. Raises ToolError.

    Times are left out: containers round them each in its own way.
    """
    ran = run_tool(
        ["ffmpeg", "-nostdin", "-v", "error", *FROM_A_FILE, "-i", f"file:{path}", "-map", "0:v?",
         "-map", "0:a?", "-c:v", "rawvideo", "-c:a", sound, "-f", "streamhash",
         "-hash", "sha256", "-"],
        seconds=seconds, reads=and_its_folder([path]),
    )  # fmt: skip
    if ran.code or not ran.stdout:
        raise ToolError("the frames could not be compared")
    return ran.stdout.decode("ascii", "replace").split()
