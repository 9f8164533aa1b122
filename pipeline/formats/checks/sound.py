"""WAVE, RF64, BW64 and AIFF: the chunks that make up the file. The samples are not decoded.

RIFF (Microsoft/IBM 1991), EBU Tech 3306 (RF64), ITU-R BS.2088 (BW64), Apple AIFF-C (1991).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from packages.paths import printable

__all__ = ["Structure", "structure_of"]

_UNSAID = 0xFFFFFFFF  # in RF64: the size is in the chunk ds64; in RIFF: whoever wrote it could not go back
_MAX_CHUNKS = 10_000
_HEADER_BYTES = 8
_FORM_BYTES = 12
_DS64_BYTES = 28
_PCM = 1


@dataclass(slots=True)
class Structure:
    """What was found of chunks; ``problems`` is empty for a sound file."""

    form: str
    problems: list[str] = field(default_factory=list)
    chunks: list[str] = field(default_factory=list)
    complete: bool = True
    """False where there were too many chunks to look at."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    id: str
    size: int
    at: int
    """Where its content begins."""


def structure_of(path: str) -> Structure | None:
    """The structure of a sound file; None for a file of another kind."""
    with open(path, "rb") as stream:
        head = stream.read(_FORM_BYTES)
        if len(head) < _FORM_BYTES:
            return None
        form, kind = head[:4].decode("latin-1"), head[8:12].decode("latin-1")
        if form in ("RIFF", "RF64", "BW64") and kind == "WAVE":
            return _Wave(stream, form, head).read()
        if form == "FORM" and kind in ("AIFF", "AIFC"):
            return _Aiff(stream, kind, head).read()
    return None


class _Iff:
    """Chunks one after the other, each with a name and a size, padded to an even number of bytes."""

    order = "<"

    def __init__(self, stream: BinaryIO, form: str, head: bytes) -> None:
        self._stream = stream
        self._file_size = os.fstat(stream.fileno()).st_size
        self.declared = int(struct.unpack(f"{self.order}I", head[4:8])[0])
        self.found = Structure(form)
        self.first: dict[str, _Chunk] = {}

    def read(self) -> Structure:
        """Walk through the chunks, then judge them together."""
        for chunk in self._chunks(self._end_there()):
            self.found.chunks.append(chunk.id)
            if chunk.id not in self.first:
                self.first[chunk.id] = chunk
        self.judge()
        return self.found

    def judge(self) -> None:
        """What the chunks must be, together."""

    def size_of(self, name: str, size: int) -> int:
        """What the size of a chunk really is."""
        return size

    def end(self) -> int:
        """How large the file says it is, in bytes."""
        return self.declared + _HEADER_BYTES

    def content(self, chunk: _Chunk, size: int) -> bytes:
        """The first bytes of a chunk."""
        self._stream.seek(chunk.at)
        return self._stream.read(min(size, chunk.size))

    def fault(self, text: str) -> None:
        """One thing that is wrong."""
        self.found.problems.append(text)

    def once(self, name: str) -> _Chunk | None:
        """The one chunk of a name that has to be there once."""
        number = self.found.chunks.count(name)
        if number != 1:
            shown = name.strip()
            self.fault(f"there is no chunk {shown}" if not number else f"there are {number} chunks {shown}")
        return self.first.get(name)

    def described(self, name: str, least: int) -> bytes | None:
        """The first ``least`` bytes of the chunk that says what the samples are; None without so many."""
        chunk = self.once(name)
        if chunk is None:
            return None
        content = self.content(chunk, least)
        if len(content) < least:
            self.fault(f"the chunk {name.strip()} has {len(content)} bytes")
            return None
        return content

    def _end_there(self) -> int:
        end = self.end()
        if end > self._file_size:
            self.fault(f"it says that it has {end} bytes, and has {self._file_size}: it is cut short")
        return min(end, self._file_size)

    def _chunks(self, end: int) -> Iterator[_Chunk]:
        at = _FORM_BYTES
        for _ in range(_MAX_CHUNKS):
            if at >= end:
                return
            self._stream.seek(at)
            header = self._stream.read(min(_HEADER_BYTES, end - at))
            if len(header) < _HEADER_BYTES:
                self.fault(f"{len(header)} bytes at {at} are no chunk")
                return
            name = header[:4].decode("latin-1")
            if not _is_name(name):
                self.fault(f"“{printable(name)}” at {at} is no name of a chunk")
                return
            size = self.size_of(name, struct.unpack(f"{self.order}I", header[4:])[0])
            if at + _HEADER_BYTES + size > end:
                left = end - at - _HEADER_BYTES
                self.fault(f"the chunk {name.strip()} at {at} has {size} bytes, of which {left} are there")
                yield _Chunk(name, left, at + _HEADER_BYTES)
                return
            yield _Chunk(name, size, at + _HEADER_BYTES)
            at += _HEADER_BYTES + size + size % 2
        self.found.complete = False


def _is_name(name: str) -> bool:
    """Four characters from space to tilde; spaces at the end only."""
    return all(" " <= letter <= "~" for letter in name) and not name.startswith(" ")


class _Wave(_Iff):
    """RIFF, or its two forms with sizes of 64 bits."""

    def __init__(self, stream: BinaryIO, form: str, head: bytes) -> None:
        super().__init__(stream, form, head)
        self._sizes: dict[str, int] = {}
        self._total: int | None = None
        if form != "RIFF":
            self._read_ds64()

    def _read_ds64(self) -> None:
        """Sizes of the file, of the data, and of whatever else is too large (EBU Tech 3306 §3)."""
        header = self._stream.read(_HEADER_BYTES)
        content = self._stream.read(_DS64_BYTES)
        if header[:4] != b"ds64" or len(content) < _DS64_BYTES:
            self.fault("it does not begin with a chunk ds64")
            return
        self._total, data, _, entries = struct.unpack("<QQQI", content)
        self._sizes["data"] = data
        room = max(0, struct.unpack("<I", header[4:])[0] - _DS64_BYTES) // 12
        for _ in range(min(entries, room, _MAX_CHUNKS)):
            entry = self._stream.read(12)
            if len(entry) == 12:
                self._sizes[entry[:4].decode("latin-1")] = struct.unpack("<Q", entry[4:])[0]

    def end(self) -> int:
        if self.declared == _UNSAID and self._total is not None:
            return self._total + _HEADER_BYTES
        return super().end()

    def size_of(self, name: str, size: int) -> int:
        return self._sizes.get(name, size) if size == _UNSAID else size

    def judge(self) -> None:
        content = self.described("fmt ", 14)
        data = self.once("data") if "LIST" not in self.first or "data" in self.first else None
        if content is None:
            return
        kind, channels, _, _, block = struct.unpack("<HHIIH", content)
        if not channels or not block:
            self.fault("the chunk fmt says that there are no channels, or samples without bytes")
        if data is None:
            return
        if data.at < self.first["fmt "].at:
            self.fault("the samples come before the chunk fmt that says what they are")
        if kind == _PCM and block and data.size % block:
            self.fault(f"{data.size} bytes of samples are no whole number of {block} bytes each")


class _Aiff(_Iff):
    order = ">"

    def judge(self) -> None:
        content = self.described("COMM", 18)
        if self.found.form == "AIFC":
            self.once("FVER")
        if content is None:
            return
        channels, frames, bits = struct.unpack(">hIh", content[:8])
        if channels < 1 or bits < 1:
            self.fault("the chunk COMM says that there are no channels, or samples without bits")
        if frames:
            self.once("SSND")
