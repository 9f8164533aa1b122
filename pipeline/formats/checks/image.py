"""Raster images: every pixel decoded by Pillow. That proves completeness, not validity."""

from __future__ import annotations

import warnings
from importlib.metadata import version

from PIL import Image, UnidentifiedImageError

from pipeline.formats.tool import ValidationResult, Validity

_TOOL = f"Pillow {version('pillow')}"
_MAX_PIXELS = 400_000_000  # 1.2 GB as RGB
_MAX_FRAMES = 1000
_NOT_HERE = ("unsupported", "unknown", "not supported", "cannot be handled", "no loader")


def check(path: str) -> ValidationResult:
    """WELL_FORMED when all frames decode; UNKNOWN for what Pillow cannot decode or that is huge."""
    Image.MAX_IMAGE_PIXELS = None  # the size is looked at before anything is decoded
    facts: dict[str, str] = {}
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            frames = min(getattr(image, "n_frames", 1), _MAX_FRAMES)
            facts = {
                "width": str(image.width),
                "height": str(image.height),
                "mode": image.mode,
                "frames": str(frames),
            }
            if image.width * image.height > _MAX_PIXELS:
                return ValidationResult(Validity.UNKNOWN, _TOOL, ("too large to be decoded here",), facts)
            for frame in range(frames):
                image.seek(frame)
                image.load()
    except UnidentifiedImageError:
        return ValidationResult(
            Validity.UNKNOWN, _TOOL, ("cannot be decoded: damaged, or of a rare kind",), facts
        )
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, ArithmeticError) as error:
        return _failed(error, facts)
    except (MemoryError, NotImplementedError, KeyError, Image.DecompressionBombError) as error:
        return ValidationResult(Validity.UNKNOWN, _TOOL, (f"{type(error).__name__}: {error}",), facts)
    return ValidationResult(Validity.WELL_FORMED, _TOOL, (), facts)


def _failed(error: Exception, facts: dict[str, str]) -> ValidationResult:
    said = str(error)[:300] or type(error).__name__
    unable = any(words in said.lower() for words in _NOT_HERE)
    return ValidationResult(Validity.UNKNOWN if unable else Validity.NOT_VALID, _TOOL, (said,), facts)
