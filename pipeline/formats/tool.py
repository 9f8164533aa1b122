"""What all foreign tools have in common: they may be missing, old, slow or dead, and exit codes lie."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from lxml import etree

__all__ = [
    "PASSWORD",
    "Ran",
    "ToolGaveUp",
    "ToolState",
    "Validator",
    "Validity",
    "Verdict",
    "in_batches",
    "program_state",
    "run_tool",
    "safely_named",
    "state_of_version",
    "xml_answer",
]

PASSWORD = "risk: encrypted, a password is needed to open it"
"""The message of a file into which no tool can look, whatever another one makes of its bytes."""
_OUTPUT_LIMIT = 256 << 20


class Validity(StrEnum):
    """What is known about the soundness of a file."""

    VALID = "valid"
    WELL_FORMED = "well-formed"  # sound syntax; whether more is right was not or cannot be said
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
class Verdict:
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

    def check(self, paths: Sequence[Path], puid: str) -> list[Verdict]:
        """A verdict for every file, in the order given; few processes, never one a file."""


class ToolGaveUp(Exception):
    """A run ended without an answer: time-out, crash, output cut short or not understood."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished run. The exit code is a hint at most: several tools exit 0 on failure."""

    code: int
    stdout: bytes
    stderr: str


def run_tool(
    command: Sequence[str | Path],
    *,
    seconds: float,
    cwd: Path | None = None,
    home: Path | None = None,
) -> Ran:
    """Run a program to its end, with everything it started.

    ``home`` is its home folder, for programs that remember too much in the user's.
    Raises ToolGaveUp when it takes longer than ``seconds``, is killed, cannot be started, or
    writes without end.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                cwd=cwd, start_new_session=True, env={**os.environ, "HOME": str(home)} if home else None,
            )  # fmt: skip
        except OSError as error:
            raise ToolGaveUp(f"{command[0]} cannot be started: {error.strerror}") from None
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ToolGaveUp(f"no answer within {seconds:.0f} seconds") from None
        finally:
            with suppress(ProcessLookupError):  # its children too
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if code < 0:
            raise ToolGaveUp(f"killed by {signal.Signals(-code).name}")
        if out.tell() > _OUTPUT_LIMIT:
            raise ToolGaveUp(f"more than {_OUTPUT_LIMIT >> 20} MiB of output")
        out.seek(0)
        err.seek(0)
        return Ran(code, out.read(), err.read(1 << 20).decode("utf-8", "replace"))


def in_batches(
    paths: Sequence[Path],
    ask: Callable[[Sequence[Path]], list[Verdict]],
    *,
    size: int,
    tool: str,
) -> list[Verdict]:
    """Ask about batches; where a batch gives up, about its halves, until the guilty file is alone.

    ``ask`` raises ToolGaveUp, or answers for each path in order.
    """
    verdicts: list[Verdict] = []
    for at in range(0, len(paths), size):
        verdicts += _bisect(paths[at : at + size], ask, tool)
    return verdicts


def _bisect(
    paths: Sequence[Path], ask: Callable[[Sequence[Path]], list[Verdict]], tool: str
) -> list[Verdict]:
    try:
        answers = ask(paths)
        if len(answers) == len(paths):
            return answers
        reason = f"{len(answers)} answers for {len(paths)} files"
    except ToolGaveUp as error:
        reason = str(error)
    if len(paths) == 1:
        return [Verdict(Validity.UNKNOWN, tool, (f"the tool gave up: {reason}",))]
    half = len(paths) // 2
    return _bisect(paths[:half], ask, tool) + _bisect(paths[half:], ask, tool)


def program_state(name: str, command: Sequence[str], pattern: str, oldest: tuple[int, int]) -> ToolState:
    """Whether a program is on the PATH, starts, and is new enough.

    ``pattern`` finds its version, as its only group, in what ``command`` prints.
    """
    if shutil.which(command[0]) is None:
        return ToolState(name, problem="not installed")
    try:
        ran = run_tool(command, seconds=60)
    except ToolGaveUp as error:
        return ToolState(name, problem=f"it does not start: {error}")
    return state_of_version(name, ran, pattern, oldest)


def state_of_version(name: str, ran: Ran, pattern: str, oldest: tuple[int, int]) -> ToolState:
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
    """A tool's XML report. Raises ToolGaveUp when it is cut short or no XML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        return etree.fromstring(output, parser)
    except etree.XMLSyntaxError as error:
        raise ToolGaveUp(f"its answer is no whole XML ({error.msg})") from None


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
