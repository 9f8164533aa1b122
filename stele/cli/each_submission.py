"""What ``stele ingest`` and ``stele check`` share: every path in turn, results as they come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from pipeline.agreement import Agreement
from pipeline.archive import Archive
from pipeline.context import Progress, Result
from stele.cli.options import EXIT_USAGE, exit_code, plain_errors
from stele.cli.output import print_json, print_results, watching
from stele.settings import Settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import settings_for
from storage.scratch import sweep_scratch

Judge = Callable[[Settings, Path, Agreement, Archive, Progress], Result]


def each_submission(
    run: Judge,
    paths: list[Path],
    agreement: str | None,
    home: Path | None,
    *,
    title: str,
    as_json: bool,
    need_workspace: bool = True,
) -> None:
    """Run every path, print the results, end the command with the worst one's exit code."""
    with plain_errors(), settings_for(home, need_workspace=need_workspace) as settings:
        agreed = choose_agreement(settings, agreement)
        archive = build_archive(settings)
        sweep_scratch(archive.work)
        results = []
        for path in paths:
            with watching(path.name) as report:
                results.append(run(settings, path, agreed, archive, report))
            if as_json:
                print_json(results[-1].as_json())
        archive.catalogue.close()
    if not as_json:
        print_results(results, title)
    codes = [
        exit_code(result.outcome) if path.exists() else EXIT_USAGE
        for path, result in zip(paths, results, strict=True)
    ]
    raise typer.Exit(max(codes, default=0))
