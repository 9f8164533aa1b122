"""bagit.txt (RFC 8493 §2.1.1)."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from packages.bag.tag_files import Report, TagFiles
from packages.problems.catalogue import problem

_KNOWN = {(0, 93), (0, 94), (0, 95), (0, 96), (0, 97), (1, 0)}
# Codecs of Python that are no character encodings, or can smuggle half characters in.
_NO_TEXT = {"rot13", "utf-7", "idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined"}
_STRICT = (
    re.compile(r"BagIt-Version: (\d{1,4})\.(\d{1,4})"),
    re.compile(r"Tag-File-Character-Encoding: (\S+)"),
)
_LENIENT = (
    re.compile(r"BagIt-Version\s*:\s*(\d{1,4})\.(\d{1,4})\s*"),
    re.compile(r"Tag-File-Character-Encoding\s*:\s*(\S+)\s*"),
)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the bag says about itself. Rules that came with 1.0 ask ``is_v1``."""

    major: int
    minor: int
    encoding: str

    @property
    def version(self) -> str:
        """As written, ``1.0``."""
        return f"{self.major}.{self.minor}"

    @property
    def is_v1(self) -> bool:
        """Whether RFC 8493 itself applies, not one of the drafts."""
        return (self.major, self.minor) >= (1, 0)


_FALLBACK = Declaration(1, 0, "utf-8")


def read(tags: TagFiles, report: Report) -> Declaration:
    """The declaration; on errors a 1.0 one, so that the other rules can still be applied."""
    content = tags.content("bagit.txt")
    if content.startswith(codecs.BOM_UTF8):
        report(problem("BAG-BOM", "bagit.txt"))
        content = content[3:]
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        report(problem("BAG-ENCODING", "bagit.txt", expected="UTF-8", found=str(error)))
        return _FALLBACK
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) != 2:
        report(problem("BAG-DECLARATION", "bagit.txt", found=f"It has {len(lines)} line(s)"))
        return _FALLBACK
    return _parse(lines, report)


def _parse(lines: list[str], report: Report) -> Declaration:
    version, encoding = (p.fullmatch(line) for p, line in zip(_LENIENT, lines, strict=True))
    if version is None or encoding is None:
        wrong = lines[0] if version is None else lines[1]
        report(problem("BAG-DECLARATION", "bagit.txt", found=f"It has “{wrong}”"))
        return _FALLBACK
    number = (int(version.group(1)), int(version.group(2)))
    if number not in _KNOWN:
        report(problem("BAG-VERSION-UNKNOWN", "bagit.txt", found=f"{number[0]}.{number[1]}"))
    elif number < (1, 0):
        report(problem("BAG-VERSION", "bagit.txt", found=f"{number[0]}.{number[1]}"))
    for pattern, line in zip(_STRICT, lines, strict=True):
        # Drafts before 1.0 did not forbid the extra white space.
        if number >= (1, 0) and not pattern.fullmatch(line):
            report(problem("BAG-DECLARATION", "bagit.txt", found=f"Illegal white space in “{line}”"))
    try:
        codec = codecs.lookup(encoding.group(1)).name
        if codec in _NO_TEXT or not "a".encode(codec):
            raise LookupError(codec)
    except (LookupError, ValueError, TypeError):  # also codecs that are no text encodings
        report(problem("BAG-DECLARATION", "bagit.txt", found=f"Unknown encoding {encoding.group(1)}"))
        codec = "utf-8"
    return Declaration(number[0], number[1], codec)
