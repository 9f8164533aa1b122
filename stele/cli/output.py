"""What people and machines see: results on stdout, progress and messages on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from packages.escaping import for_json_line, for_page, for_terminal
from packages.problems.problem import Problem, Severity
from packages.sizes import size_text
from pipeline.context import Progress as Report
from pipeline.context import Result, no_progress
from storage.states import Outcome


class _SafeConsole(Console):
    """A console that obeys our markup and nothing else: no control character in a text reaches it."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(for_page(text), **options)


OUT = _SafeConsole()
ERR = _SafeConsole(stderr=True)

_MARK = {
    Outcome.STORED: "[green]✔ stored[/]",
    Outcome.ACCEPTABLE: "[green]✔ acceptable[/]",
    Outcome.DUPLICATE: "[cyan]= duplicate[/]",
    Outcome.REJECTED: "[red]✘ rejected[/]",
    Outcome.IN_REVIEW: "[yellow]… in review[/]",
    Outcome.FAILED: "[red]! failed[/]",
}
_REASON = {
    Outcome.STORED: "is stored",
    Outcome.ACCEPTABLE: "is acceptable",
    Outcome.DUPLICATE: "is kept already",
    Outcome.REJECTED: "was rejected",
    Outcome.IN_REVIEW: "waits for an archivist",
    Outcome.FAILED: "failed",
}
_MAX_SHOWN = 12
RISK_COLOUR = {"low": "green", "medium": "yellow", "high": "red"}


def data(text: object) -> str:
    """Text from outside within our markup: one line, neither markup nor control characters in it."""
    return escape(for_terminal(text))


def print_json(record: object) -> None:
    """One JSON object on one line of stdout."""
    line = for_json_line(json.dumps(record, ensure_ascii=False)) + "\n"
    # A name that is no Unicode must not end the run; its bytes are shown as escapes.
    sys.stdout.write(line.encode("utf-8", "backslashreplace").decode("utf-8"))
    sys.stdout.flush()


@contextmanager
def watching(name: str) -> Iterator[Report]:
    """A progress bar when stderr is a terminal; silence otherwise."""
    if not ERR.is_terminal:
        yield no_progress
        return
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20),
        TextColumn("{task.fields[files]} files"), DownloadColumn(binary_units=True),
        TransferSpeedColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=ERR, transient=True) as bar:
        tasks: dict[str, TaskID] = {}
        counts: dict[str, int] = {}
        received = 0  # bytes: what later stages have before them

        def report(stage: str, size: int, files: int) -> None:
            nonlocal received
            received += size if stage == "receive" else 0
            if stage not in tasks:
                total = received if stage != "receive" and received else None
                tasks[stage] = bar.add_task(f"{data(name)}: {stage}", total=total, files=0)
            counts[stage] = counts.get(stage, 0) + files
            bar.update(tasks[stage], advance=size, files=counts[stage])

        yield report


def print_results(results: list[Result], title: str) -> None:
    """The table of a run, then for every submission that was not kept, why."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("Submission and AIP", overflow="fold")
    table.add_column("Outcome", no_wrap=True)
    table.add_column("Files", justify="right")
    table.add_column("Size", justify="right")
    for result in results:
        table.add_row(
            data(result.subject.rstrip("/").rsplit("/", 1)[-1])
            + (f"\n[dim]{result.aip.removeprefix('urn:uuid:')}[/]" if result.aip else ""),
            _MARK[result.outcome],
            str(result.files),
            size_text(result.bytes),
        )
    OUT.print(table)
    for result in results:
        _print_reasons(result)


def _print_reasons(result: Result) -> None:
    name = data(result.subject.rstrip("/").rsplit("/", 1)[-1])
    if result.reason:
        OUT.print(f"\n[bold]{name}[/] {_REASON[result.outcome]}: {data(result.reason)}")
    errors = [p for p in result.problems if p.severity is Severity.ERROR]
    if errors:
        OUT.print(f"\n[bold]{name}[/] was refused because:")
        print_problems(errors)
    warnings = len(result.problems) - len(errors)
    if warnings and result.receipt:
        OUT.print(f"{name}: {warnings} note(s) in {data(result.receipt)}", style="dim", soft_wrap=True)


def rows_table(*columns: str, whole: Collection[str] = ()) -> Table:
    """A table that fits eighty columns: long cells are folded, those of ``whole`` columns never."""
    table = Table(box=SIMPLE_HEAD)
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in whole)
    return table


def print_problems(problems: list[Problem]) -> None:
    """A bounded list; the receipt has them all."""
    for problem in problems[:_MAX_SHOWN]:
        colour = "red" if problem.severity is Severity.ERROR else "yellow"
        OUT.print(Padding(f"[{colour}]{problem.code}[/] {data(problem.for_depositor)}", (0, 0, 0, 2)))
    if len(problems) > _MAX_SHOWN:
        OUT.print(f"  … and {len(problems) - _MAX_SHOWN} more")
