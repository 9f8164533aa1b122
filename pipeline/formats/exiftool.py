"""ExifTool: what a file says of its own making. It judges nothing; one process for a batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from packages.package_file import FileFormat
from pipeline.formats.tool import (
    ToolError,
    ToolState,
    ValidationResult,
    Validity,
    and_its_folder,
    in_batches,
    program_state,
    run_tool,
    safely_named,
)

__all__ = ["ExifTool", "described_by"]

_BATCH = 200
_TIMEOUT_S = 60.0
_MIN_BYTES_PER_S = 8 << 20
_KEPT = {
    "CreateDate": "made on",
    "DateTimeOriginal": "taken on",
    "ModifyDate": "changed on",
    "CreatorTool": "made with",
    "Producer": "written by",
    "Software": "software",
    "Application": "application",
    "Author": "author",
    "Creator": "creator",
    "Title": "title inside",
    "Make": "camera maker",
    "Model": "camera model",
    "ICCProfileName": "colour profile",
    "ProfileDescription": "colour profile",
    "XResolution": "resolution",
    "GPSPosition": "place",
}
_MIME = (
    "image/",
    "audio/",
    "video/",
    "application/pdf",
    "application/msword",
    "application/vnd.ms-",
    "application/vnd.openxmlformats-officedocument.",
)


def described_by(known: FileFormat) -> str | None:
    """One batch for all formats that carry such metadata; None for the others."""
    return "metadata" if known.mime.startswith(_MIME) else None


_OLDEST = (12, 24)  # CVE-2021-22204: before it a file could run commands


class ExifTool:
    """The ``exiftool`` program."""

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._state: ToolState | None = None

    @property
    def name(self) -> str:
        return "ExifTool"

    def state(self) -> ToolState:
        if self._state is None:
            command, version = ["exiftool", "-ver"], r"^(\d+\.\d+)\s*$"
            self._state = program_state("ExifTool", command, version, _OLDEST)
        return self._state

    def check(self, paths: Sequence[Path], puid: str) -> list[ValidationResult]:
        """NOT_CHECKED with facts for every file; nothing here says that a file is valid."""
        tool = f"ExifTool {self.state().version}"
        names = [f"-{name}" for name in _KEPT]

        def ask(batch: Sequence[Path]) -> list[ValidationResult]:
            seconds = self._timeout_s + sum(path.stat().st_size for path in batch) / _MIN_BYTES_PER_S
            with safely_named(batch) as links:
                words = ["exiftool", "-config", "", "-json", "-fast2", "-charset", "utf8", *names]
                ran = run_tool([*words, *links], seconds=seconds, reads=and_its_folder(links))
                return _verdicts(ran.stdout, links, tool)

        return in_batches(paths, ask, size=_BATCH, tool=tool)


def _verdicts(output: bytes, links: Sequence[Path], tool: str) -> list[ValidationResult]:
    """Raises ToolError for output that is cut short or lacks a file."""
    try:
        found = {Path(one["SourceFile"]).name: one for one in json.loads(output or b"[]")}
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"its answer is no whole JSON ({error})") from None
    missing = [link.name for link in links if link.name not in found]
    if missing:
        raise ToolError(f"no answer about {len(missing)} of {len(links)} files")
    return [_verdict(found[link.name], tool) for link in links]


def _verdict(record: dict[str, object], tool: str) -> ValidationResult:
    facts: dict[str, str] = {}
    for name, words in _KEPT.items():
        value = str(record.get(name, "")).strip()
        if value and not value.startswith("0000:00:00"):
            facts.setdefault(words, "".join(c if c.isprintable() else " " for c in value)[:200])
    return ValidationResult(Validity.NOT_CHECKED, tool, (), facts)
