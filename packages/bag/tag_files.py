"""The bag's tag files, read from our custody copy."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from packages.problems.catalogue import problem
from packages.problems.problem import Problem
from packages.worklist import Worklist

Report = Callable[[Problem], None]
_METADATA_LIMIT = 16 << 20
_MAX_LINE_CHARACTERS = 1 << 20
"""A path has 3,000 bytes at most, and a field of bag-info.txt is read by people."""


class TagFiles:
    """Tag files by name. ``encoding`` is what bagit.txt declares (RFC 8493 §2.1.1)."""

    def __init__(self, worklist: Worklist, work: Path) -> None:
        content = work / "content"
        self._paths = {path: content / name for path, name, _, _ in worklist.tag_files()}
        self.encoding = "utf-8"

    def names(self) -> Iterator[str]:
        """All names, sorted."""
        yield from sorted(self._paths)

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def path(self, name: str) -> Path:
        """Where the bytes are."""
        return self._paths[name]

    def content(self, name: str) -> bytes:
        """The first 16 MiB of a small tag file."""
        with self._paths[name].open("rb") as stream:
            return stream.read(_METADATA_LIMIT)

    def lines(self, name: str, report: Report) -> Iterator[str]:
        """The lines of a tag file of any length; BAG-BOM and BAG-ENCODING are reported, and BAG-LINE-LONG,
        after which nothing more is read."""
        raw = self._paths[name].open("rb")
        if self.encoding == "utf-8" and raw.read(3) == codecs.BOM_UTF8:
            report(problem("BAG-BOM", name))
        else:
            raw.seek(0)
        with io.TextIOWrapper(raw, encoding=self.encoding, newline=None) as text:
            try:
                while line := text.readline(_MAX_LINE_CHARACTERS):
                    if len(line) == _MAX_LINE_CHARACTERS:
                        limit = f"{_MAX_LINE_CHARACTERS:,} characters"
                        report(problem("BAG-LINE-LONG", name, expected=limit, found=line[:120]))
                        return
                    yield line.rstrip("\n")
            except UnicodeError as error:
                report(problem("BAG-ENCODING", name, expected=self.encoding, found=str(error)[:200]))
