"""Which tools look at a file, and what follows from what they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from packages.package_file import FileFormat
from pipeline.formats.builtin import Builtin
from pipeline.formats.kinds import Kind, kind_of, kind_of_name
from pipeline.formats.tool import PASSWORD, ToolState, ValidationResult, Validator, Validity

__all__ = ["BatchSelector", "Validation", "combined"]

BatchSelector = Callable[[FileFormat], str | None]
"""For a format: the batch in which a tool takes it (any PUID of that batch), None to leave it out."""

NOT_CHECKED = ValidationResult(Validity.NOT_CHECKED, "")


class Validation:
    """The built-in checks and whatever else is installed. Thread-safe.

    A tool that is missing is left out and named in ``missing``; it is never shown as a pass.
    """

    def __init__(
        self, builtin: Builtin, tools: Sequence[tuple[Validator, BatchSelector]] = (), threads: int = 2
    ):
        self._builtin = builtin
        self._tools = tuple(tools)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="validate")

    @property
    def states(self) -> tuple[ToolState, ...]:
        """All tools, asked at once. A run asks only those it has files for: each costs a start."""
        with ThreadPoolExecutor(len(self._tools) or 1) as pool:
            return tuple(pool.map(lambda tool: tool[0].state(), self._tools))

    def close(self) -> None:
        """Stop the processes."""
        self._pool.shutdown()
        self._builtin.close()

    def absent_for(self, known: FileFormat) -> tuple[ToolState, ...]:
        """The tools that would have looked at this format if they were here."""
        wanted = (tool.state() for tool, choice in self._tools if choice(known) is not None)
        return tuple(state for state in wanted if not state.usable)

    def check(self, files: Sequence[tuple[Path, FileFormat]]) -> list[ValidationResult]:
        """One verdict for every file, in the order given; all tools at work at once."""
        jobs: list[tuple[list[int], Future[list[ValidationResult]]]] = []
        for kind, rows in _grouped(files, _kind):
            paths = [files[row][0] for row in rows]
            jobs.append((rows, self._pool.submit(self._builtin.check, paths, Kind(kind))))
        for tool, choice in self._tools:
            for puid, rows in _grouped(files, _by_format(choice)):
                if not tool.state().usable:
                    break
                paths = [files[row][0] for row in rows]
                jobs.append((rows, self._pool.submit(tool.check, paths, puid)))
        said: dict[int, list[ValidationResult]] = defaultdict(list)
        for rows, job in jobs:
            for row, verdict in zip(rows, job.result(), strict=True):
                said[row].append(verdict)
        return [combined(said[row]) if row in said else NOT_CHECKED for row in range(len(files))]


def _kind(path: Path, known: FileFormat) -> Kind | None:
    """What nobody recognises may still be a damaged one of what its name says."""
    return kind_of(known) if known.is_known else kind_of_name(path.name)


def _by_format(choice: BatchSelector) -> Callable[[Path, FileFormat], str | None]:
    return lambda _, known: choice(known)


def _grouped(
    files: Sequence[tuple[Path, FileFormat]], key: Callable[[Path, FileFormat], str | None]
) -> Iterable[tuple[str, list[int]]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for row, (path, known) in enumerate(files):
        name = key(path, known)
        if name is not None:
            groups[name].append(row)
    return groups.items()


_ORDER = (Validity.NOT_VALID, Validity.VALID, Validity.WELL_FORMED, Validity.UNKNOWN, Validity.NOT_CHECKED)


def combined(verdicts: Sequence[ValidationResult]) -> ValidationResult:
    """One word from several tools: any fault counts; then the best that was shown.

    A tool that gave up takes nothing from what another has shown, but its message stays.
    """
    if len(verdicts) == 1:
        return verdicts[0]
    validity = next(v for v in _ORDER if any(one.validity is v for one in verdicts))
    if any(PASSWORD in one.messages for one in verdicts):
        validity = Validity.UNKNOWN  # what a tool reads there is cipher
    by = "; ".join(dict.fromkeys(one.tool for one in verdicts if one.validity is validity))
    messages: dict[str, None] = {}
    facts: dict[str, str] = {}
    for one in sorted(verdicts, key=lambda one: one.validity is not validity):
        messages.update(dict.fromkeys(one.messages))
        facts = {**one.facts, **facts}
    return ValidationResult(validity, by, tuple(messages), facts)
