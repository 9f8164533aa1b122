"""File names inside packages: which are dangerous, which are unportable, how each standard writes them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, unquote

_BAG_ESCAPES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_BAG_UNESCAPE = re.compile("%(25|0[DdAa])")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
# Marks that turn the direction of writing: behind U+202E a name reads as another.
_DIRECTION = re.compile("[\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_WINDOWS_PATH_MAX = 259
_UUID = "uuid-00000000-0000-0000-0000-000000000000"
_AIP_FOLDERS = len(f"{_UUID}/data/{_UUID}/representations/rep1/data/")  # as an export has them
# XML 1.0 §2.2 Char, and the non-characters no name should carry.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# What may not stand in an AIP's names: BagIt 1.0 escapes (aip.md §3), control characters.
# U+0085, U+2028 and U+2029 end a line for some readers of manifests.
_RENAMED = re.compile("[%\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_WINDOWS_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?$")
_WINDOWS_FORBIDDEN = re.compile(r'[<>:"|?*\\]')
_NAME_MAX = 255
_PORTABLE_SEGMENT = re.compile(r"[A-Za-z0-9._-]{1,200}")


def escape_reason(path: str) -> str | None:
    """Why ``path`` could lead outside its package, or None when it cannot.

    Covers POSIX and Windows spellings, because a package may be unpacked on either.
    """
    if not path:
        return "the name is empty"
    if "\x00" in path:
        return "the name contains a NUL character"
    if path.startswith(("/", "\\")):
        return "the path is absolute"
    if re.match(r"^[A-Za-z]:", path):
        return "the path starts with a Windows drive letter"
    if path.startswith("~"):
        return "the path starts with a home-folder shortcut (~)"
    if re.match(r"^[A-Za-z][A-Za-z0-9+.-]*:/", path):
        return "the path is a URL"
    if ".." in re.split(r"[/\\]", path):
        return "the path climbs out of its folder (..)"
    return None


def normalise(path: str) -> str:
    """``path`` without ``./`` and doubled slashes; the only rewriting we do silently to a reference."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def bag_encode(path: str) -> str:
    """Write a path in a manifest (RFC 8493 §2.1.3: CR, LF and % are percent-encoded)."""
    return re.sub("[%\r\n]", lambda match: _BAG_ESCAPES[match.group()], path)


def bag_decode(path: str) -> str:
    """Read a path from a BagIt 1.0 manifest; other percent sequences stand for themselves."""
    return _BAG_UNESCAPE.sub(lambda match: chr(int(match.group(1), 16)), path)


def href(path: str) -> str:
    """A relative URL reference (RFC 3986) for METS; ``+`` is escaped because some readers decode it."""
    return quote(path, safe="/!$'()*,;=@~&-._")


def from_href(reference: str) -> str:
    """The path a relative METS reference means."""
    return unquote(reference)


def rename_reason(path: str) -> str | None:
    """Why this name cannot be kept as it is in an AIP, or None."""
    match = _RENAMED.search(path)
    if match is None:
        if any(len(segment.encode()) > _NAME_MAX for segment in path.split("/")):
            return f"has a part longer than {_NAME_MAX} bytes, which file systems cannot hold"
        return None
    character = match.group()
    if character == "%":
        return "contains %, which BagIt, METS and URL readers decode differently"
    return f"contains the character U+{ord(character):04X}, which XML or BagIt cannot carry"


def renamed(path: str, *, taken: Callable[[str], bool]) -> str:
    """A name an AIP can carry, as close to ``path`` as possible and not ``taken`` already.

    On a clash every segment that had to change gets a number, so that a clash of folders ends too.
    """
    segments = path.split("/")
    plain = [_shortened(_RENAMED.sub("_", segment)) for segment in segments]
    candidate, number = "/".join(plain), 1
    while taken(candidate):
        number += 1
        candidate = "/".join(
            new if new == old else _numbered(new, number) for old, new in zip(segments, plain, strict=True)
        )
    return candidate


def _numbered(segment: str, number: int) -> str:
    stem, dot, extension = segment.partition(".")
    return f"{stem}~{number}{dot}{extension}"


def _shortened(segment: str) -> str:
    """A segment of at most 200 bytes, its extension kept."""
    raw = segment.encode()
    if len(raw) <= _NAME_MAX:
        return segment
    _, dot, extension = segment.rpartition(".")
    tail = f"{dot}{extension}" if dot and len(extension.encode()) <= 16 else ""
    return raw[: 200 - len(tail.encode())].decode("utf-8", "ignore") + tail


def unportable_reason(path: str) -> str | None:
    """Why this name will trouble another system, or None; the name is kept all the same."""
    for segment in path.split("/"):
        if _WINDOWS_RESERVED.match(segment):
            return f"“{segment}” is a reserved device name on Windows"
        if segment.endswith((".", " ")) or segment.startswith(" "):
            return f"“{segment}” starts or ends with a space or ends with a dot"
        if _WINDOWS_FORBIDDEN.search(segment):
            return f"“{segment}” has a character Windows forbids"
        if len(segment.encode("utf-8", "surrogatepass")) > 255:
            return f"“{segment[:40]}…” is longer than 255 bytes"
    return None


def too_long_for_windows(path: str) -> str | None:
    """Why a path of a submission is too long for Windows once it lies in an exported AIP; or None.

    Windows counts UTF-16 units and ends at 259 (RFC 8493 §6.1.2 names the limit). An export puts
    ``uuid-…/data/uuid-…/representations/rep1/`` before the bag's ``data/``.
    """
    within = f"/{path}".partition("/data/")[2]
    units = len(within.encode("utf-16-le", "surrogatepass")) // 2 + _AIP_FOLDERS
    if not within or units <= _WINDOWS_PATH_MAX:
        return None
    return (
        f"its path is {units} characters long in the archive's package; Windows opens {_WINDOWS_PATH_MAX}"
    )


def collision_key(path: str) -> str:
    """Equal for two names that some file system cannot keep apart (letter case, NFC and NFD)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def is_portable(path: str) -> bool:
    """Whether the path can be an object key and a file name everywhere, as it is."""
    return len(path) <= 600 and all(
        _PORTABLE_SEGMENT.fullmatch(segment) and segment.strip(".") for segment in path.split("/")
    )


def printable(path: str) -> str:
    """The path for reports: undecodable bytes and control characters made visible."""
    shown = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", shown)


def visible(text: str) -> str:
    """As ``printable``, and marks that turn the direction of writing shown too.

    A name with U+202E reads as another than it is: for screens where people decide by names.
    """
    return _DIRECTION.sub(lambda match: f"\\u{ord(match.group()):04x}", printable(text))


def safe_in_xml(text: str) -> str:
    """Text with what XML 1.0 cannot hold replaced by U+FFFD."""
    return _NOT_XML.sub("�", text)
