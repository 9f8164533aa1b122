"""Which encoding an archive's undeclared names are in. A guess, and reported as one."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_CYRILLIC = re.compile("[Ѐ-ӿ]")
_MIXED_WORD = re.compile("[A-Za-z][Ѐ-ӿ]|[Ѐ-ӿ][A-Za-z]")
_FULL_WIDTH_KANA = re.compile("[ぁ-ヿー]")
_LATIN_ACCENTED = re.compile("[À-ɏ]")
# In order of preference where two fit equally well.
_MAX_WEIGHED = 20_000  # characters: they tell as much as millions
_CANDIDATES = ("utf-8", "gb18030", "big5", "shift_jis", "koi8-r", "cp866", "cp437")


@dataclass(frozen=True, slots=True)
class DecodedName:
    """A name, and how it was arrived at. ``guessed`` is the encoding where it was a guess."""

    text: str
    guessed: str | None


def decode_names(raw_names: Iterable[bytes], *, hints: Iterable[str] = ()) -> list[DecodedName]:
    """Decode names that carry no encoding mark, all with the one encoding that fits best.

    ``hints`` are names of the same archive that are certain; their script tips the balance.
    """
    names = list(raw_names)
    foreign = [name for name in names if not name.isascii()]
    encoding = _best(foreign, "".join(hints)) if foreign else "ascii"
    decoded = []
    for name in names:
        if name.isascii():
            decoded.append(DecodedName(name.decode("ascii"), None))
        else:
            decoded.append(DecodedName(name.decode(encoding, "surrogateescape"), encoding))
    return decoded


def _best(names: list[bytes], hints: str) -> str:
    scores = {encoding: _score(names, encoding, hints) for encoding in _CANDIDATES}
    return max(_CANDIDATES, key=lambda encoding: scores[encoding])


def _score(names: list[bytes], encoding: str, hints: str) -> float:
    """Mean plausibility (0 to 1) of the non-ASCII characters; -1 where a name does not decode."""
    weights: list[float] = []
    text = ""
    for name in names:
        try:
            text = name.decode(encoding)
        except UnicodeDecodeError:
            return -1.0
        if len(weights) > _MAX_WEIGHED:
            continue  # whether the others decode is all that is still asked
        weights += [_weight(c, encoding) for c in text if not c.isascii()]
        if re.search("[а-яё][А-ЯЁ]", text):  # KOI8-R read as CP1251 and friends swaps cases
            weights.append(0.0)
        # Two scripts within one word: an accented Latin letter taken for a Cyrillic one.
        weights += [0.0] * len(_MIXED_WORD.findall(text))
    score = sum(weights) / len(weights) if weights else 0.0
    if encoding == "utf-8":
        return score + 1  # valid UTF-8 by accident is all but impossible
    if _CYRILLIC.search(hints) and _CYRILLIC.search(text):
        score += 0.5
    return score


def _weight(character: str, encoding: str) -> float:
    if encoding in ("koi8-r", "cp866"):
        return 1.0 if _CYRILLIC.match(character) else 0.05
    if encoding == "cp437":
        return 0.6 if _LATIN_ACCENTED.match(character) else 0.05
    if encoding == "utf-8":
        return 1.0
    try:
        lead = character.encode(encoding)[0]
    except UnicodeEncodeError:
        return 0.05
    match encoding:
        case "gb18030":  # rows of the 3,755 most frequent characters in GB 2312
            return 1.0 if 0xB0 <= lead <= 0xD7 else 0.3
        case "big5":
            return 0.95 if 0xA4 <= lead <= 0xC6 else 0.3
        case _:
            if _FULL_WIDTH_KANA.match(character):
                return 1.0
            return 0.97 if 0x88 <= lead <= 0x97 else 0.3


def unicode_path(raw_name: bytes, extra: bytes) -> str | None:
    """The name in an Info-ZIP Unicode Path field (0x7075), if it belongs to this entry.

    The field carries the CRC-32 of the plain name; a stale one is ignored (APPNOTE.TXT 4.6.9).
    """
    for body in _unicode_path_fields(extra):
        if int.from_bytes(body[1:5], "little") == zlib.crc32(raw_name):
            try:
                return body[5:].decode("utf-8")
            except UnicodeDecodeError:
                return None
    return None


def without_unicode_path(raw_name: bytes, extra: bytes) -> DecodedName | None:
    """The plain name of an entry whose Unicode Path field is stale; None where it has no such field.

    It was renamed by a program that knows nothing of the field. Then the name is in the encoding that
    zip archives began with (APPNOTE.TXT 4.6.9, D.2), unless it can only be UTF-8.
    """
    if not any(True for _ in _unicode_path_fields(extra)):
        return None
    try:
        return DecodedName(raw_name.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        return DecodedName(raw_name.decode("cp437"), "cp437")


def _unicode_path_fields(extra: bytes) -> Iterator[bytes]:
    """The contents of fields 0x7075, version 1 (APPNOTE.TXT 4.5.1, 4.6.9)."""
    position = 0
    while position + 4 <= len(extra):
        kind = int.from_bytes(extra[position : position + 2], "little")
        length = int.from_bytes(extra[position + 2 : position + 4], "little")
        body = extra[position + 4 : position + 4 + length]
        position += 4 + length
        if kind == 0x7075 and len(body) >= 6 and body[0] == 1:
            yield body
