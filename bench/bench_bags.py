"""Bags of random files, for every benchmark."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_EXTENSIONS = ("bin", "txt", "dat", "csv")


def parse_size(text: str) -> int:
    """``4KiB`` → 4096."""
    for unit in ("KiB", "MiB", "GiB", "B"):
        if text.endswith(unit):
            return int(float(text.removesuffix(unit)) * _UNITS[unit])
    return int(text)


def make_bag(folder: Path, files: int, size: int) -> None:
    """A BagIt 1.0 bag of random files, every content different."""
    lines = []
    for number in range(files):
        name = f"data/{number // 1000:04d}/record-{number:07d}.{_EXTENSIONS[number % 4]}"
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        hasher, left = hashlib.sha512(), size
        with target.open("wb") as sink:
            while left:
                chunk = os.urandom(min(left, 1 << 22))
                hasher.update(chunk)
                sink.write(chunk)
                left -= len(chunk)
        lines.append(f"{hasher.hexdigest()}  {name}\n")
    (folder / "bagit.txt").write_text("BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", "utf-8")
    (folder / "manifest-sha512.txt").write_text("".join(lines), "utf-8")
    (folder / "bag-info.txt").write_text(f"External-Identifier: {folder.name}\n", "utf-8")
