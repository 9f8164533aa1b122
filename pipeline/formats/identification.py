"""Format identification: Siegfried and signatures of our own, fido as a second opinion where asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from packages.package_file import UNKNOWN_FORMAT, FileFormat
from pipeline.errors import ToolFailed
from pipeline.formats.tool import ToolError
from pipeline.formats.worker import MAX_MEMORY_BYTES, Worker, WorkerPool

__all__ = ["Identification", "Identifier"]

_SIEGFRIED = "pipeline.formats.siegfried_worker"
_FIDO = "pipeline.formats.fido_worker"
_BATCH = 500
_TIMEOUT_S = 300.0  # seconds for one batch; a 1 GiB file takes a hundredth of one


class Identifier:
    """Siegfried with its built-in signatures and ours, in ``workers`` processes. Thread-safe.

    ``signatures_in`` are folders with signatures of our own. With ``second`` every file is shown
    to fido too, which costs some 7 ms a file; where it knows better, the format's warning says so.
    """

    def __init__(
        self, workers: int = 2, signatures_in: Sequence[Path] = (), *, second: bool = False
    ) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="identify")
        folders = [str(folder) for folder in signatures_in]
        self._siegfried = WorkerPool(lambda: Worker(_SIEGFRIED, folders))
        self._fido = WorkerPool(lambda: Worker(_FIDO)) if second else None
        self.version = ""
        self.signatures = ""
        self.second = ""
        """fido's version and signatures, once it was asked."""

    def submit(self, names: Sequence[str]) -> Future[list[FileFormat]]:
        """Ask for the formats of files, in the order given. Names must be valid UTF-8.

        The future raises ToolFailed when Siegfried cannot work at all. A file that crashes it is
        UNKNOWN with a warning that says so.
        """
        return self._pool.submit(self._identify, names)

    def identify(self, names: Sequence[str]) -> Iterator[FileFormat]:
        """The formats of files, in the order given. Raises ToolFailed."""
        waiting = [self.submit(names[at : at + _BATCH]) for at in range(0, len(names), _BATCH)]
        for future in waiting:
            yield from future.result()

    def close(self) -> None:
        """Stop the processes; the identifier cannot be used any more."""
        self._pool.shutdown()
        self._siegfried.close()
        if self._fido:
            self._fido.close()

    def _identify(self, names: Sequence[str]) -> list[FileFormat]:
        formats = self._first(names)
        if self._fido is None:
            return formats
        return [_compared(known, *said) for known, said in zip(formats, self._second(names), strict=True)]

    def _first(self, names: Sequence[str]) -> list[FileFormat]:
        try:
            answer = self._siegfried.ask(list(names), seconds=_TIMEOUT_S)
        except ToolError:
            if len(names) == 1:
                self._confirm_alive()
                return [_CRASHED]
            half = len(names) // 2
            return self._first(names[:half]) + self._first(names[half:])
        if "failure" in answer:
            raise ToolFailed(f"Siegfried failed on {len(names)} files: {answer['failure']}")
        if len(answer["files"]) != len(names):
            raise ToolFailed(f"Siegfried answered for {len(answer['files'])} of {len(names)} files")
        self.version, self.signatures = answer["version"], answer["signatures"]
        formats = [_format(*facts) for facts in answer["formats"]]
        return [formats[number] for number in answer["files"]]

    def _confirm_alive(self) -> None:
        """Tell a file that crashes Siegfried from a Siegfried that cannot run here."""
        try:
            self._siegfried.ask([__file__], seconds=_TIMEOUT_S)
        except ToolError:
            raise ToolFailed(
                "Siegfried (pygfried) cannot be started; run “stele doctor” or install Stele again"
            ) from None

    def _second(self, names: Sequence[str]) -> list[tuple[list[str], str]]:
        """fido's PUIDs and how it found them. A second opinion that fails is none, and says so."""
        assert self._fido is not None, "asked for"
        try:
            answer: dict[str, Any] = self._fido.ask(list(names), seconds=_TIMEOUT_S)
        except ToolError as error:
            if len(names) == 1:
                return [([], f"failed: {error}")]
            half = len(names) // 2
            return self._second(names[:half]) + self._second(names[half:])
        self.second = f"fido {answer['version']} ({answer['signatures']})"
        return [(puids, how) for puids, how in answer["files"]]


_CRASHED = FileFormat(
    None, "unknown", "", "", "",
    "the identification tool crashed on this file, needed more than "
    f"{MAX_MEMORY_BYTES >> 30} GiB of memory, or gave no answer",
)  # fmt: skip
DISAGREES = "fido says"
"""What a warning holds where the second opinion is another one."""


def _compared(known: FileFormat, puids: list[str], how: str) -> FileFormat:
    """The first opinion, with the second in its warning where that rests on content and differs."""
    real = [puid for puid in puids if not puid.startswith("fido-fmt/")]
    if how.startswith("failed"):
        said = f"no second opinion: fido {how}"
    elif how not in ("signature", "container") or not real or known.puid in real:
        return known
    else:
        said = f"{DISAGREES} {', '.join(real[:5])} (by {how})"
    return replace(known, warning="; ".join(part for part in (known.warning, said) if part))


@lru_cache(maxsize=4096)
def _format(
    puid: str, name: str, version: str, mime: str, basis: str, warning: str, errors: str
) -> FileFormat:
    warning = "; ".join(part for part in (warning, errors) if part)
    if not puid:
        return UNKNOWN_FORMAT
    if "empty source" in errors:  # its extension alone says nothing about no bytes
        return FileFormat(None, "unknown", "", "", "", "the file is empty")
    if puid.upper() == "UNKNOWN":
        return FileFormat(None, "unknown", "", "", basis, warning or "no match")
    return FileFormat(puid, name or puid, version, mime.split(",")[0].strip(), basis, warning)


class Identification:
    """The formats of one package's files: asked for while they arrive, answered in that order."""

    def __init__(self, identifier: Identifier, content: Path) -> None:
        self.identifier = identifier
        self._content = content
        self._gathered: list[str] = []
        self._waiting: list[Future[list[FileFormat]]] = []

    def offer(self, work: str) -> None:
        """A payload file has arrived under this name in the work area."""
        self._gathered.append(f"{self._content}/{work}")
        if len(self._gathered) >= _BATCH:
            self.send()

    def send(self) -> None:
        """Ask about what was offered since; nothing more will come for a while."""
        if self._gathered:
            self._waiting.append(self.identifier.submit(self._gathered))
            self._gathered = []

    def formats(self) -> Iterator[FileFormat]:
        """One answer for every file offered. Raises ToolFailed."""
        self.send()
        waiting, self._waiting = self._waiting, []
        for number, future in enumerate(waiting):
            yield from future.result()
            waiting[number] = _DONE  # a million answers need not stay

    def cancel(self) -> None:
        """Nobody will ask for the answers: the submission was refused or its ingest failed."""
        for future in self._waiting:
            future.cancel()


_DONE: Future[list[FileFormat]] = Future()
