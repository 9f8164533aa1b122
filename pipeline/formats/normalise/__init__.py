"""Converters: what the format policy may ask for, by name. A result counts only when it was compared."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.formats.normalise.converter import Converted, Converter
from pipeline.formats.normalise.image import image_converters
from pipeline.formats.normalise.media import media_converters
from pipeline.formats.normalise.office import office_converters
from pipeline.formats.normalise.pdf import PdfToPdfA

__all__ = ["CONVERTERS", "Converted", "Converter"]

_ALL: tuple[Converter, ...] = (
    *office_converters(),
    *image_converters(),
    *media_converters(),
    PdfToPdfA(),
)
CONVERTERS: Mapping[str, Converter] = {one.name: one for one in _ALL}
