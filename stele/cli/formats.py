"""``stele formats``: what is kept in which formats, and what the policy says of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stele.cli.options import EXIT_INVALID, AsJson, Home, package_id, plain_errors

if TYPE_CHECKING:
    from pipeline.archive import Archive

formats_app = typer.Typer(no_args_is_help=True, help="The formats of what is kept, and the policy.")
_RISK = {"low": "green", "medium": "yellow", "high": "red"}


@formats_app.command(epilog="Example: stele formats report")
def report(home: Home = None, as_json: AsJson = False) -> None:
    """Every format in the archive: AIPs, files, bytes, not valid ones, risk."""
    from dataclasses import asdict

    from rich.table import Table

    from packages.sizes import size_text
    from pipeline.formats.report import format_report
    from stele.cli.output import OUT, data, print_json
    from stele.workspace import opened

    table = Table()
    for column in ("PUID", "Format", "AIPs", "Files", "Size", "Not valid", "Risk", "Decision"):
        justify = "right" if column in ("AIPs", "Files", "Size", "Not valid") else "left"
        table.add_column(column, overflow="fold", justify=justify, no_wrap=column == "PUID")  # type: ignore[arg-type]
    with plain_errors(), opened(home) as archive:
        lines = format_report(archive.catalogue, archive.tools.policy)
    for line in lines:
        if as_json:
            print_json(asdict(line))
            continue
        numbers = (f"{line.aips:,}", f"{line.files:,}", size_text(line.bytes), f"{line.not_valid:,}")
        risk = f"[{_RISK[line.risk]}]{line.risk}[/]"
        table.add_row(line.puid, data(line.name), *numbers, risk, line.decision)
    if not as_json:
        OUT.print(table)
        OUT.print("Risk: how likely it is that nobody can open it in fifty years (stele formats policy).")


@formats_app.command(epilog="Example: stele formats policy")
def policy(home: Home = None, as_json: AsJson = False) -> None:
    """The rules in the order in which they are asked; the first that fits decides."""
    from rich.table import Table

    from stele.cli.output import OUT, data, print_json
    from stele.wiring import build_policy
    from stele.workspace import settings_or_defaults

    table = Table()
    for column in ("Formats", "Decision", "Risk", "Kept as", "Read as", "Why"):
        table.add_column(column, overflow="fold")
    with plain_errors():
        rules = build_policy(settings_or_defaults(home)).rules
    for rule in rules:
        if as_json:
            print_json(rule.model_dump(mode="json"))
            continue
        risk = f"[{_RISK[rule.risk]}]{rule.risk}[/]"
        table.add_row(
            data(rule.name), rule.decision, risk, rule.preserve or "as it is",
            rule.access or "as it is", data(rule.reason),
        )  # fmt: skip
    if not as_json:
        OUT.print(table)


@formats_app.command(epilog="Example: stele formats reidentify --unknown")
def reidentify(
    aips: Annotated[list[str] | None, typer.Argument(help="AIPs; default: all.")] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Only AIPs that hold files of unknown format.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Identify stored files again with today's signatures; what changed becomes an event."""
    from dataclasses import asdict

    from pipeline.preservation.reidentify import reidentify as run
    from stele.cli.output import OUT, data, print_json
    from stele.workspace import opened

    number = 0
    with plain_errors(), opened(home) as archive:
        if aips:
            chosen = iter([package_id(aip, archive).urn for aip in aips])
        elif unknown:
            chosen = iter(archive.catalogue.formats.aips_with(["unknown"]))
        else:
            chosen = iter([row.id for row in archive.catalogue.aips.all()])
        for number, (aip, changed) in enumerate(run(archive, chosen), 1):  # noqa: B007  (used below)
            if as_json:
                print_json({"aip": aip, **asdict(changed)})
            else:
                said = f"{changed.before} → {changed.puid}  {data(changed.path)} ({aip})"
                OUT.print(said, soft_wrap=True)
    if not as_json:
        OUT.print(f"{number} file(s) are of another format today." if number else "Nothing has changed.")


@formats_app.command(
    epilog="Example: stele formats override 7a3c… letters/1.wps fmt/40 --by 'B. Clerk' --reason 'opened it'"
)
def override(
    aip: Annotated[str, typer.Argument(help="An AIP: urn:uuid:…, uuid-…, a UUID or its first characters.")],
    path: Annotated[str, typer.Argument(help="The file's name in the records.")],
    puid: Annotated[str, typer.Argument(help="What it is: fmt/40, x-fmt/111, local/name.")],
    by: Annotated[str, typer.Option("--by", help="Who says so; it is recorded.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    home: Home = None,
) -> None:
    """Say what a stored file is; recorded as an event of that person, the AIP stays as it is."""
    from pipeline.preservation.reidentify import OverrideRefused, override_format
    from stele.cli.options import fail
    from stele.cli.output import OUT
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive:
        try:
            override_format(archive, package_id(aip, archive).urn, path, puid, person=by, reason=reason)
        except OverrideRefused as error:
            fail(str(error), EXIT_INVALID)
    OUT.print("Recorded.")


@formats_app.command(epilog="Example: stele formats normalise --preview   then with --by and --reason")
def normalise(
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
    from stele.cli.options import EXIT_USAGE, fail
    from stele.workspace import opened

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
    from pipeline.formats.report import rule_for_count

    formats = archive.catalogue.formats.all()
    wanted = [count.puid for count, _ in formats if rule_for_count(count, archive.tools.policy).preserve]
    return list(archive.catalogue.formats.aips_with(wanted))


def _normalise(archive: Archive, aips: list[str], by: str, reason: str, *, as_json: bool) -> int:
    from dataclasses import asdict

    from pipeline.preservation.normalise import normalise as run
    from stele.cli.output import OUT, data, print_json

    failed = 0
    for done in run(archive, aips, person=by, reason=reason):
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
    from dataclasses import asdict

    from rich.table import Table

    from packages.sizes import size_text
    from pipeline.preservation.normalise import preview as run
    from stele.cli.output import OUT, data, print_json

    table = Table()
    for column in ("Format", "AIPs", "Files", "Size", "Becomes by", "Takes about", "Sample"):
        table.add_column(column, overflow="fold")
    for line in run(archive, samples):
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


@formats_app.command(
    "import-par", epilog="Example: stele formats import-par rules.json --preserve image-tiff"
)
def import_par(
    file: Annotated[Path, typer.Argument(help="Business rules of PAR (JSON).")],
    preserve: Annotated[str, typer.Option(help="Our converter for rules that ask for copies.")] = "",
) -> None:
    """Turn business rules of PAR into rules for format-policy.toml, to be looked at and pasted."""
    from pipeline.formats.normalise import CONVERTERS
    from pipeline.formats.par import as_toml, read_par
    from stele.cli.options import EXIT_USAGE, fail

    if preserve and preserve not in CONVERTERS:
        fail(f"there is no converter “{preserve}”; there are: {', '.join(CONVERTERS)}", EXIT_USAGE)
    with plain_errors():
        rules = read_par(file)
    typer.echo("\n".join(as_toml(rule, preserve) for rule in rules))
