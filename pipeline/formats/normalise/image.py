"""Raster images by libvips: TIFF and JPEG 2000 to keep, JPEG to read; pixels compared by Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageChops, ImageStat

from pipeline.formats.normalise.converter import Converted, failed, fresh, most_written
from pipeline.formats.tool import (
    ToolError,
    ToolState,
    and_its_folder,
    program_state,
    run_tool,
    safely_named,
)

_TIMEOUT_S = 60.0
_MIN_BYTES_PER_S = 1 << 20  # bytes a second
_ROWS = 256
_MAX_PIXELS = 400_000_000
_ACCESS_SIDE = 2400
_MAX_MEAN_DIFFERENCE = 12.0  # mean difference of a lossy copy, in 256 grey levels


def image_converters() -> tuple[ImageByVips, ...]:
    """TIFF, lossless JPEG 2000, JPEG."""
    return (
        ImageByVips(
            "image-tiff", "TIFF, uncompressed pixels kept", ".tif", "compression=deflate", lossless=True
        ),
        ImageByVips("image-jp2", "JPEG 2000, lossless", ".jp2", "lossless=true", lossless=True),
        ImageByVips("image-jpeg", "JPEG", ".jpg", "Q=88,optimize_coding=true", lossless=False),
    )


class ImageByVips:
    """The ``vips`` program: one process an image, streaming, whatever its size."""

    def __init__(self, name: str, makes: str, suffix: str, options: str, *, lossless: bool) -> None:
        self._name = name
        self._makes = makes
        self._suffix = suffix
        self._options = options
        self._lossless = lossless
        self._state: ToolState | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def makes(self) -> str:
        return self._makes

    def state(self) -> ToolState:
        if self._state is None:
            command, version = ["vips", "--version"], r"vips-(\d+\.\d+(?:\.\d+)?)"
            self._state = program_state("libvips", command, version, (8, 10))
        return self._state

    def convert(self, sources: Sequence[Path], folder: Path) -> list[Converted]:
        folder.mkdir(parents=True)
        tool = f"libvips {self.state().version}"
        return [
            self._one(source, folder / f"{number}{self._suffix}", tool)
            for number, source in enumerate(sources)
        ]

    def _one(self, source: Path, result: Path, tool: str) -> Converted:
        seconds = _TIMEOUT_S + source.stat().st_size / _MIN_BYTES_PER_S
        try:
            with safely_named([source]) as (link,):
                ran = run_tool(
                    self._command(link, result), seconds=seconds, reads=and_its_folder([link]),
                    writes=[result.parent],
                    max_file_bytes=most_written(source),
                )  # fmt: skip
                said = ran.stderr.strip().replace(str(link), "the file")[:300]
        except ToolError as error:
            return failed(source, tool, f"the tool gave up: {error}")
        if not fresh(result):
            return failed(source, tool, said or f"nothing was written (exit code {ran.code})")
        if ran.code:
            return failed(source, tool, said or f"exit code {ran.code}")
        try:
            compared, problem = self._compared(source, result)
        except Exception as error:  # Pillow raises many kinds for what it cannot read
            return failed(source, tool, f"it could not be compared: {type(error).__name__}: {error}"[:300])
        if problem:
            return failed(source, tool, problem)
        notes = (f"vips: {said}",) if said else ()
        return Converted(source, result, tool, compared, notes, self._lossless)

    def _command(self, source: Path, result: Path) -> list[str]:
        if self._lossless:
            every = "[n=-1]" if self._suffix == ".tif" and _frames(source) > 1 else ""
            return ["vips", "copy", f"{source}{every}", f"{result}[{self._options}]"]
        size = ["--size", "down", "--height", str(_ACCESS_SIDE)]
        target = f"{result}[{self._options},background=255]"
        return [
            "vips",
            "thumbnail",
            str(source),
            target,
            str(_ACCESS_SIDE),
            *size,
            "--export-profile",
            "srgb",
        ]

    def _compared(self, source: Path, result: Path) -> tuple[tuple[str, ...], str]:
        Image.MAX_IMAGE_PIXELS = None  # looked at below
        with warnings.catch_warnings(), Image.open(source) as one, Image.open(result) as two:
            warnings.simplefilter("ignore")
            if one.width * one.height > _MAX_PIXELS:
                return (), "too large to be compared here"
            if not self._lossless:
                return _similar(one, two)
            frames, now = getattr(one, "n_frames", 1), getattr(two, "n_frames", 1)
            if frames != now:
                return (), f"{frames} images in it, {now} in the result"
            return _every_equal(one, two, frames)


def _frames(path: Path) -> int:
    """How many images are in a file; 1 where Pillow cannot say."""
    try:
        with Image.open(path) as image:
            return int(getattr(image, "n_frames", 1))
    except Exception:  # Pillow raises many kinds for what it cannot read
        return 1


def _every_equal(one: Image.Image, two: Image.Image, frames: int) -> tuple[tuple[str, ...], str]:
    said: tuple[str, ...] = ()
    for frame in range(frames):
        one.seek(frame)
        two.seek(frame)
        said, problem = _equal(one, two)
        if problem:
            return (), f"image {frame + 1} of {frames}: {problem}" if frames > 1 else problem
    if frames > 1:
        said = (f"{frames} images = {frames} images", *said)
        if one.info.get("duration"):
            said += ("the times between them are not kept",)
    return said, ""


def _equal(one: Image.Image, two: Image.Image) -> tuple[tuple[str, ...], str]:
    """Same size, and no pixel differs; strip by strip, because images are large."""
    if one.size != two.size:
        return (), f"{one.size[0]}x{one.size[1]} became {two.size[0]}x{two.size[1]}"
    mode = _common_mode(one, two)
    left, right = (image if image.mode == mode else image.convert(mode) for image in (one, two))
    for top in range(0, one.height, _ROWS):
        box = (0, top, one.width, min(one.height, top + _ROWS))
        if left.crop(box).tobytes() != right.crop(box).tobytes():
            return (), f"pixels differ in rows {top} to {box[3]}"
    size = f"{one.width}x{one.height} = {two.width}x{two.height}"
    return (size, f"largest pixel difference 0 (as {mode})"), ""


def _common_mode(one: Image.Image, two: Image.Image) -> str:
    """In which both are compared: their own where it is the same, else the one that loses nothing."""
    if one.mode == two.mode and one.mode != "P":
        return one.mode
    if "I;16" in one.mode + two.mode or "I" in (one.mode, two.mode):
        return "I"
    if "transparency" in one.info or any(mode in ("RGBA", "LA", "PA") for mode in (one.mode, two.mode)):
        return "RGBA"
    return "RGB"


def _similar(one: Image.Image, two: Image.Image) -> tuple[tuple[str, ...], str]:
    """Same proportions, and much the same picture: a lossy copy that shows something else is none."""
    if abs(one.width / one.height - two.width / two.height) > 0.02 * one.width / one.height:
        swapped = abs(one.height / one.width - two.width / two.height) < 0.02
        if not swapped:  # turned upright by its Exif orientation
            return (), f"{one.size[0]}x{one.size[1]} became {two.size[0]}x{two.size[1]}"
        return (f"turned upright to {two.width}x{two.height}",), ""
    small = (64, 64)
    background = Image.new("RGBA", small, "white")
    left = Image.alpha_composite(background, one.convert("RGBA").resize(small)).convert("L")
    right = two.convert("L").resize(small)
    mean = ImageStat.Stat(ImageChops.difference(left, right)).mean[0]
    deep = one.mode.startswith("I") or one.mode == "CMYK"  # Pillow shows these its own way
    if mean > _MAX_MEAN_DIFFERENCE and not deep:
        return (), f"it looks different (mean difference {mean:.1f} of 256)"
    size = f"{one.width}x{one.height} became {two.width}x{two.height}"
    return (size, f"mean difference {mean:.1f} of 256 grey levels at 64x64"), ""
