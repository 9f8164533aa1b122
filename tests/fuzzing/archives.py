"""Archives made from a valid bag by mutations that know the formats; one number decides everything."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import random
import struct
import tarfile
import warnings
import zipfile
from dataclasses import dataclass

__all__ = ["MadeArchive", "make_archive"]

_NAMES = (
    "../../up.txt", "/etc/passwd", "data/../../up", "data\\..\\..\\up", "C:\\up.txt", "data/con", "data/a\x00b",
    "data/" + "d/" * 200 + "f", "data/" + "n" * 300, "data/\u202egpj.exe", "data/a\nb", "data//x", "./data/x", "",
    "data/\udc80", "data/e\u0301.txt", "data/é.txt", "DATA/A.TXT", "data/a.txt/", "bagit.txt", "sip", "data/a.txt ",
    "__MACOSX/._a", "data/%41", "data/a%0Ab", "\ufeffbagit.txt",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MadeArchive:
    """``name`` with its extension; ``story`` is what was done to it.

    ``paths`` are the files that are in it for certain: None where bytes of the archive were changed.
    """

    name: str
    content: bytes
    story: str
    paths: frozenset[str] | None


def make_archive(seed: int) -> MadeArchive:
    """The archive of a seed."""
    chance = random.Random(seed)
    story: list[str] = []
    files = _bag(chance)
    for _ in range(chance.choice([0, 1, 1, 2])):
        files = _mutate_bag(files, chance, story)
    of_the_bag = len(story)
    kind = chance.choice(["zip", "zip", "tar", "tar", "tar.gz", "tar.bz2", "tar.xz"])
    content = _zip(files, chance, story) if kind == "zip" else _tar(files, chance, story)
    content = _packed(content, kind, chance, story)
    for _ in range(chance.choice([0, 0, 1, 1, 3])):
        content = _mutate_bytes(content, chance, story)
    paths = frozenset(path for path, _ in files) if len(story) == of_the_bag else None
    return MadeArchive(f"s{seed}.{kind}", content, f"{kind}: " + "; ".join(story), paths)


def _bag(chance: random.Random) -> list[tuple[str, bytes]]:
    payload = {
        f"data/{name}": chance.randbytes(chance.choice([0, 1, 100, 5000]))
        for name in chance.sample(["a.txt", "sub/b.bin", "会议.txt", "c d.pdf", "deep/er/e.xml"], 3)
    }
    manifest = "".join(f"{hashlib.sha512(data).hexdigest()}  {path}\n" for path, data in payload.items())
    tags = {
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": b"External-Identifier: fuzz\nBagging-Date: 2026-01-31\n",
        "manifest-sha512.txt": manifest.encode(),
    }
    return [(f"sip/{path}", data) for path, data in {**tags, **payload}.items()]


def _mutate_bag(
    files: list[tuple[str, bytes]], chance: random.Random, story: list[str]
) -> list[tuple[str, bytes]]:
    if not files:
        return files
    at = chance.randrange(len(files))
    name, data = files[at]
    what = chance.choice(
        ["drop", "twice", "rename", "odd name", "damage", "tag line", "second bag", "empty"]
    )
    story.append(f"{what} {name}")
    match what:
        case "drop":
            return files[:at] + files[at + 1 :]
        case "twice":
            return [*files, (name, data + b"x")]
        case "rename" | "odd name":
            new = chance.choice(_NAMES)
            return [*files[:at], (f"sip/{new}" if what == "rename" else new, data), *files[at + 1 :]]
        case "damage":
            return [*files[:at], (name, _flipped(data, chance)), *files[at + 1 :]]
        case "tag line":
            return [(path, _odd_line(path, content, chance)) for path, content in files]
        case "second bag":
            return files + [(path.replace("sip/", "two/", 1), content) for path, content in files]
        case _:
            return []


def _odd_line(path: str, content: bytes, chance: random.Random) -> bytes:
    if "/data/" in path:
        return content
    odd = [
        b"\xef\xbb\xbf", b"no label\n", b"X" * 5000 + b": y\n", b"Payload-Oxum: -1.x\n", b"\x00\x1b[31m\n",
        b"BagIt-Version: 99.1\n", b"abc  data/a.txt\n", b"*" * 128 + b" *../../x\n", "é: ü\n".encode("latin-1"),
        b" continued\n", b"\r\r\n\n", b"Bagging-Date: 31.12.\n", b"0" * 128 + b"  data/%zz\n",
    ]  # fmt: skip
    return chance.choice([content + chance.choice(odd), chance.choice(odd) + content, chance.choice(odd)])


def _flipped(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return b"?"
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _zip(files: list[tuple[str, bytes]], chance: random.Random, story: list[str]) -> bytes:
    out = io.BytesIO()
    method = chance.choice(
        [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]
    )
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as sink:
        warnings.simplefilter("ignore")  # a name twice is what is wanted
        for name, data in files:
            try:
                info = zipfile.ZipInfo(name.replace("\udc80", "?") or "x")
            except ValueError:
                continue
            if name in sink.namelist():
                story.append("twice in the zip")
            info.compress_type = method
            info.create_system = chance.choice([0, 3, 3, 10])
            if chance.random() < 0.03:
                info.external_attr = chance.choice([0o120777, 0o010644, 0o040755]) << 16
                story.append(f"mode of {name[-20:]}")
            sink.writestr(info, data)
    content = bytearray(out.getvalue())
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        _mutate_zip_field(content, chance, story)
    return bytes(content)


_DIRECTORY = {
    4: "<H",
    6: "<H",
    8: "<H",
    10: "<H",
    16: "<L",
    20: "<L",
    24: "<L",
    28: "<H",
    30: "<H",
    38: "<L",
    42: "<L",
}
_LOCAL = {4: "<H", 6: "<H", 8: "<H", 14: "<L", 18: "<L", 22: "<L", 26: "<H", 28: "<H"}
_END = {4: "<H", 8: "<H", 10: "<H", 12: "<L", 16: "<L", 20: "<H"}


def _mutate_zip_field(content: bytearray, chance: random.Random, story: list[str]) -> None:
    signature, fields = chance.choice([(b"PK\1\2", _DIRECTORY), (b"PK\3\4", _LOCAL), (b"PK\5\6", _END)])
    places = [at for at in range(len(content) - 46) if content[at : at + 4] == signature]
    if signature == b"PK\5\6":
        places = [content.rfind(signature)]
    if not places or places[0] < 0:
        return
    at, (offset, form) = chance.choice(places), chance.choice(list(fields.items()))
    top = 0xFFFF if form == "<H" else 0xFFFFFFFF
    value = chance.choice([0, 1, top, top - 1, 8, 99, chance.randrange(top)])
    story.append(f"{signature!r}+{offset} = {value}")
    struct.pack_into(form, content, at + offset, value)


def _tar(files: list[tuple[str, bytes]], chance: random.Random, story: list[str]) -> bytes:
    out = io.BytesIO()
    form = chance.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape") as sink:
        for name, data in files:
            info = tarfile.TarInfo(name or "x")
            info.size = len(data)
            if chance.random() < 0.05:
                info.type = chance.choice(
                    [
                        tarfile.SYMTYPE,
                        tarfile.LNKTYPE,
                        tarfile.CHRTYPE,
                        tarfile.FIFOTYPE,
                        tarfile.DIRTYPE,
                        b"Z",
                    ]
                )
                info.linkname = chance.choice(["/etc/passwd", "../..", "sip/bagit.txt", "a" * 300])
                info.size = 0
                story.append(f"type {info.type!r}")
            if form == tarfile.PAX_FORMAT and chance.random() < 0.05:
                info.pax_headers = chance.choice([
                    {"size": "-1"}, {"size": "9" * 30}, {"path": "../../up"}, {"mtime": "1e400"},
                    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}, {"hdrcharset": "BINARY"}, {"x": "y" * 70_000},
                ])  # fmt: skip
                story.append(f"pax {str(info.pax_headers)[:60]}")
            try:
                sink.addfile(info, io.BytesIO(data))
            except (ValueError, UnicodeError, OverflowError):
                continue
    content = bytearray(out.getvalue())
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        _mutate_tar_header(content, chance, story)
    return bytes(content)


def _mutate_tar_header(content: bytearray, chance: random.Random, story: list[str]) -> None:
    places = [at for at in range(0, len(content) - 511, 512) if content[at + 257 : at + 262] == b"ustar"]
    if not places:
        return
    at = chance.choice(places)
    field, value = chance.choice([
        (124, b"77777777777\0"), (124, b"\x80" + bytes(3) + b"\x7f" * 8), (124, b"\xff" * 12), (124, b"-0000000001\0"),
        (124, b"           \0"), (156, bytes([chance.randrange(256)])), (136, b"99999999999\0"), (0, b"/" * 100),
        (100, b"zzzzzzz\0"), (257, b"ustax\0"), (345, b"../" * 51),
    ])  # fmt: skip
    story.append(f"tar header +{field} = {value[:12]!r}")
    content[at + field : at + field + len(value)] = value
    if chance.random() < 0.8:
        content[at + 148 : at + 156] = b" " * 8
        content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])


def _packed(content: bytes, kind: str, chance: random.Random, story: list[str]) -> bytes:
    packers = {"tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress}
    pack = packers.get(kind)
    if pack is None:
        return content
    twice = chance.random() < 0.03
    if twice:
        story.append("packed twice")
    return pack(pack(content)) if twice else pack(content)


def _mutate_bytes(content: bytes, chance: random.Random, story: list[str]) -> bytes:
    at = chance.randrange(max(1, len(content)))
    what = chance.choice(["flip", "cut", "insert", "repeat", "zeros", "head"])
    story.append(f"{what} at {at} of {len(content)}")
    match what:
        case "flip":
            return _flipped(content, chance)
        case "cut":
            return content[:at]
        case "insert":
            return content[:at] + chance.randbytes(chance.choice([1, 16, 600])) + content[at:]
        case "repeat":
            return content[:at] + content[max(0, at - 1024) :]
        case "zeros":
            return content[:at] + bytes(min(64, len(content) - at)) + content[at + 64 :]
        case _:
            return chance.randbytes(16) + content
