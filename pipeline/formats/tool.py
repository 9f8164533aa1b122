"""What all foreign tools have in common: they may be missing, old, slow or dead, and exit codes lie."""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from lxml import etree

from pipeline.confinement import confined, environment
from schemas.xml import require_memory

__all__ = [
    "PASSWORD",
    "ToolError",
    "ToolRun",
    "ToolState",
    "ValidationResult",
    "Validator",
    "Validity",
    "and_its_folder",
    "answers_in_batches",
    "in_batches",
    "program_state",
    "run_tool",
    "safely_named",
    "state_of_version",
    "xml_answer",
]

PASSWORD = "risk: encrypted, a password is needed to open it"
"""The message of a file into which no tool can look, whatever another one makes of its bytes."""
_MAX_OUTPUT_BYTES = 256 << 20
_MAX_MEMORY_BYTES = 4 << 30
_MAX_OPEN_FILES = 1024
_MAX_LOST_S = 150.0
_NOT_CONFINED = 126  # the launcher's exit code
_File = TypeVar("_File")
_Answer = TypeVar("_Answer")


class Validity(StrEnum):
    """What is known about the validity of a file."""

    VALID = "valid"
    WELL_FORMED = "well-formed"  # right syntax; whether more is right was not or cannot be said
    NOT_VALID = "not-valid"
    UNKNOWN = "unknown"  # it was tried, and the tool crashed, hung or made no sense
    NOT_CHECKED = "not-checked"  # nothing here can check this format


@dataclass(frozen=True, slots=True)
class ToolState:
    """Whether a tool can be used here. ``problem`` says why not: missing, too old, broken."""

    name: str
    version: str = ""
    problem: str = ""

    @property
    def usable(self) -> bool:
        """Whether it is there and works."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """One tool's word on one file. ``tool`` is its name with version (and module)."""

    validity: Validity
    tool: str
    messages: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """What it said about the content: pages, width, height, duration in seconds, profile…"""


class Validator(Protocol):
    """A tool that judges files of one format. Nothing it meets in a file makes it raise."""

    @property
    def name(self) -> str:
        """How people know it."""

    def state(self) -> ToolState:
        """Asked once and remembered: whether it can be used."""

    def check(self, paths: Sequence[Path], puid: str) -> list[ValidationResult]:
        """A verdict for every file, in the order given; few processes, never one a file."""


class ToolError(Exception):
    """A run ended without an answer: time-out, crash, output cut short or not understood."""


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A finished run. The exit code is a hint at most: several tools exit 0 on failure."""

    code: int
    stdout: bytes
    stderr: str


def run_tool(
    command: Sequence[str | Path],
    *,
    seconds: float,
    reads: Sequence[Path] = (),
    writes: Sequence[Path] = (),
    sockets: Sequence[Path] = (),
    cwd: Path | None = None,
    max_file_bytes: int = _MAX_OUTPUT_BYTES,
) -> ToolRun:
    """Run a program confined to its end, with everything it started.

    It can read ``reads`` and what belongs to the system, write ``writes`` and a folder of its own that
    goes with it, reach no network and see no secret; what its input refers to is not there for it.
    Raises ToolError when it takes longer than ``seconds``, is killed, cannot be started or confined,
    or writes a file of more than ``max_file_bytes``.
    """
    words = [str(part) for part in command]
    if shutil.which(words[0]) is None:
        raise ToolError(f"{words[0]} cannot be started: it is not installed")
    limits = {
        "CPU": math.ceil(seconds * (os.cpu_count() or 1)) + 1, "DATA": _MAX_MEMORY_BYTES,
        "FSIZE": max_file_bytes, "NOFILE": _MAX_OPEN_FILES,
    }  # fmt: skip
    with (
        tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err,
        tempfile.TemporaryDirectory(prefix="stele-", ignore_cleanup_errors=True) as own,
    ):  # fmt: skip
        home = Path(own)
        closed = confined(words, reads=reads, writes=[*writes, home], sockets=sockets, limits=limits)
        try:
            process = subprocess.Popen(
                closed, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd or home,
                start_new_session=True, env=environment(home),
            )  # fmt: skip
        except OSError as error:
            raise ToolError(f"{words[0]} cannot be started: {error.strerror}") from None
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ToolError(f"no answer within {seconds:.0f} seconds") from None
        finally:
            with suppress(ProcessLookupError):  # its children too
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if code < 0:
            raise ToolError(_killed_by(-code, max_file_bytes))
        if out.tell() > _MAX_OUTPUT_BYTES:
            raise ToolError(f"more than {_MAX_OUTPUT_BYTES >> 20} MiB of output")
        out.seek(0)
        err.seek(0)
        said = err.read(1 << 20).decode("utf-8", "replace")
        if code == _NOT_CONFINED and said.startswith("it could not be confined"):
            raise ToolError(said.strip())
        return ToolRun(code, out.read(), said)


def _killed_by(number: int, max_file_bytes: int) -> str:
    if number == signal.SIGXFSZ:
        return f"it wrote a file of more than {max_file_bytes >> 20} MiB"
    if number == signal.SIGXCPU:
        return "it used up its CPU time"
    return f"killed by {signal.Signals(number).name}"


def in_batches(
    paths: Sequence[Path],
    ask: Callable[[Sequence[Path]], list[ValidationResult]],
    *,
    size: int,
    tool: str,
) -> list[ValidationResult]:
    """Ask about batches; where a batch gives up, about its halves, until the guilty file is alone.

    ``ask`` raises ToolError, or answers for each path in order.
    """

    def give_up(reason: str) -> ValidationResult:
        return ValidationResult(Validity.UNKNOWN, tool, (reason,))

    return answers_in_batches(paths, ask, size=size, give_up=give_up)


def answers_in_batches(
    files: Sequence[_File],
    ask: Callable[[Sequence[_File]], list[_Answer]],
    *,
    size: int,
    give_up: Callable[[str], _Answer],
) -> list[_Answer]:
    """As ``in_batches``, for any answer; ``give_up`` makes that of a file that got none, and why."""
    answers: list[_Answer] = []
    lost = _Lost()
    for at in range(0, len(files), size):
        answers += _bisect(files[at : at + size], ask, give_up, lost)
    return answers


@dataclass(slots=True)
class _Lost:
    """The time that went into runs without an answer. Files made for it could take hours."""

    seconds: float = 0.0


def _bisect(
    paths: Sequence[_File],
    ask: Callable[[Sequence[_File]], list[_Answer]],
    give_up: Callable[[str], _Answer],
    lost: _Lost,
) -> list[_Answer]:
    if lost.seconds > _MAX_LOST_S:
        said = f"not asked: files beside it cost {lost.seconds:.0f} seconds without an answer"
        return [give_up(said)] * len(paths)
    began = time.monotonic()
    try:
        answers = ask(paths)
        if len(answers) == len(paths):
            return answers
        reason = f"{len(answers)} answers for {len(paths)} files"
    except ToolError as error:
        reason = str(error)
    lost.seconds += time.monotonic() - began
    if len(paths) == 1:
        return [give_up(f"the tool gave up: {reason}")]
    half = len(paths) // 2
    return _bisect(paths[:half], ask, give_up, lost) + _bisect(paths[half:], ask, give_up, lost)


def program_state(
    name: str, command: Sequence[str], pattern: str, oldest: tuple[int, int], *, writes: Sequence[Path] = ()
) -> ToolState:
    """Whether a program is on the PATH, starts, and is new enough.

    ``pattern`` finds its version, as its only group, in what ``command`` prints.
    """
    if shutil.which(command[0]) is None:
        return ToolState(name, problem="not installed")
    try:
        ran = run_tool(command, seconds=60, writes=writes)
    except ToolError as error:
        return ToolState(name, problem=f"it does not start: {error}")
    return state_of_version(name, ran, pattern, oldest)


def state_of_version(name: str, ran: ToolRun, pattern: str, oldest: tuple[int, int]) -> ToolState:
    """What follows from the run in which a tool was asked for its version."""
    said = ran.stdout.decode("utf-8", "replace") + ran.stderr
    found = re.search(pattern, said)
    if not found:
        first = said.strip().partition("\n")[0][:200]
        return ToolState(name, problem=f"it does not say its version, but: {first or 'nothing'}")
    version = found.group(1)
    numbers = [int(part) for part in re.findall(r"\d+", version)[:2]]
    if tuple([*numbers, 0][:2]) < oldest:
        needed = ".".join(str(part) for part in oldest)
        return ToolState(name, version, f"version {version} is too old; {needed} or newer is needed")
    return ToolState(name, version)


def xml_answer(output: bytes) -> etree._Element:
    """A tool's XML report. Raises ToolError when it is cut short or no XML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        return etree.fromstring(output, parser)
    except etree.XMLSyntaxError as error:
        require_memory(error)
        raise ToolError(f"its answer is no whole XML ({error.msg})") from None


def and_its_folder(links: Sequence[Path]) -> list[Path]:
    """What a tool must be able to read that is given links: what they lead to, and where they are."""
    return [*links, *{link.parent: None for link in links}]


@contextmanager
def safely_named(paths: Sequence[Path], extension: str = "") -> Iterator[list[Path]]:
    """Links with plain names (``0.pdf``, ``1.tif``…) to files with any names, in their order.

    Java reads names in the locale's encoding, and tools take odd ones for options or patterns.
    ``extension`` stands in for the files' own, for tools that trust it too much.
    """
    with tempfile.TemporaryDirectory(prefix="stele-") as folder:
        links = []
        for number, path in enumerate(paths):
            own = path.suffix if path.suffix[1:].isalnum() and path.suffix.isascii() else ""
            suffix = extension or own
            link = Path(folder, f"{number}{suffix}")
            link.symlink_to(path.absolute())
            links.append(link)
        yield links
