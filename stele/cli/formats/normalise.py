"""``stele formats normalise``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from packages.sizes import size_text
from pipeline.archive import Archive
from pipeline.formats.report import rule_for_count
from pipeline.preservation.normalise import normalise, preview
from stele.cli.options import EXIT_INVALID, EXIT_USAGE, AsJson, Home, fail, package_id, plain_errors
from stele.cli.output import OUT, data, print_json
from stele.workspace import opened

EXAMPLE = "stele formats normalise --preview"


def command(
    aips: Annotated[list[str] | None, typer.Argument(help="AIPs; default: all that need it.")] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show what it would touch, with a sample of each.")
    ] = False,
    by: Annotated[str, typer.Option("--by", help="Who orders it; it is recorded.")] = "",
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
    samples: Annotated[int, typer.Option(min=0, help="Files tried of each format in a preview.")] = 1,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the preservation copies the policy asks for, each in a new version; originals stay."""
    if not preview and not (by.strip() and reason.strip()):
        fail("give --by and --reason, or look first with --preview", EXIT_USAGE)
    with plain_errors(), opened(home) as archive:
        if preview:
            _show_preview(archive, samples, as_json=as_json)
            return
        chosen = [package_id(aip, archive).urn for aip in aips] if aips else _needing(archive)
        failed = _normalise(archive, chosen, by, reason, as_json=as_json)
    raise typer.Exit(EXIT_INVALID if failed else 0)


def _needing(archive: Archive) -> list[str]:
    """The AIPs that hold formats the policy wants converted."""
    formats = archive.catalogue.formats.all()
    wanted = [count.puid for count, _ in formats if rule_for_count(count, archive.tools.policy).preserve]
    return list(archive.catalogue.formats.aips_with(wanted))


def _normalise(archive: Archive, aips: list[str], by: str, reason: str, *, as_json: bool) -> int:
    failed = 0
    for done in normalise(archive, aips, person=by, reason=reason):
        failed += len(done.failed) + bool(done.skipped)
        if as_json:
            print_json(asdict(done))
            continue
        if done.skipped:
            OUT.print(f"{done.aip}: [yellow]skipped[/] {data(done.skipped)}", soft_wrap=True)
            continue
        version = done.version or "unchanged"
        OUT.print(f"{done.aip}: {version}, {len(done.made)} made, {len(done.failed)} failed")
        for line in done.failed[:20]:
            OUT.print(f"  [yellow]failed[/] {data(line)}", soft_wrap=True)
    if not aips and not as_json:
        OUT.print("The policy asks for nothing that is not there.")
    return failed


def _show_preview(archive: Archive, samples: int, *, as_json: bool) -> None:
    table = Table()
    for column in ("Format", "AIPs", "Files", "Size", "Becomes by", "Takes about", "Sample"):
        table.add_column(column, overflow="fold")
    for line in preview(archive, samples):
        if as_json:
            print_json(asdict(line))
            continue
        tried = "; ".join(
            f"{sample.path}: {'; '.join(sample.compared or sample.problems)}" for sample in line.samples
        )
        takes = "unknown" if line.seconds is None else f"{line.seconds:,.0f} s"
        table.add_row(
            f"{line.puid} {data(line.name)}", f"{line.aips:,}", f"{line.files:,}", size_text(line.bytes),
            line.converter if not line.missing else f"[red]{line.converter}: {data(line.missing)}[/]",
            takes, data(tried),
        )  # fmt: skip
    if not as_json:
        OUT.print(table)
        OUT.print("Nothing was changed. To do it: stele formats normalise --by NAME --reason TEXT")
