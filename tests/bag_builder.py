"""Bags for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

BagBuilder = Callable[..., Path]


def bag_builder(place: Path) -> BagBuilder:
    """What builds valid BagIt 1.0 bags below a folder."""

    def build(content: dict[str, bytes], name: str = "sip", **info: str) -> Path:
        folder = place / name
        lines = []
        for path, data in content.items():
            target = folder / "data" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            encoded = path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")
            lines.append(f"{hashlib.sha512(data).hexdigest()}  data/{encoded}\n")
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "bagit.txt").write_text(
            "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", "utf-8"
        )
        fields = {"External-Identifier": name, **{k.replace("_", "-"): v for k, v in info.items()}}
        (folder / "bag-info.txt").write_text("".join(f"{k}: {v}\n" for k, v in fields.items()), "utf-8")
        (folder / "manifest-sha512.txt").write_text("".join(lines), "utf-8")
        return folder

    return build
