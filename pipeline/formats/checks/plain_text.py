"""Plain text: in which encoding, as far as the bytes can say."""

from __future__ import annotations

import codecs

from pipeline.formats.tool import ValidationResult, Validity

_CHUNK = 1 << 20
_TOOL = "Stele, text"


def check(path: str) -> ValidationResult:
    """VALID for ASCII and UTF-8 throughout; NOT_CHECKED for other encodings, which nothing marks."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    ascii_only = True
    with open(path, "rb", buffering=0) as stream:
        try:
            while chunk := stream.read(_CHUNK):
                ascii_only = ascii_only and chunk.isascii()
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return ValidationResult(Validity.NOT_CHECKED, _TOOL, (), {"encoding": "not UTF-8"})
    return ValidationResult(Validity.VALID, _TOOL, (), {"encoding": "ASCII" if ascii_only else "UTF-8"})
