"""``stele formats``: what is kept in which formats, and what the policy says of them."""

from __future__ import annotations

from typing import Annotated

import typer

from stele.command_parts import EXIT_INVALID, AsJson, Home, package_id, plain_errors

formats_app = typer.Typer(no_args_is_help=True, help="The formats of what is kept, and the policy.")
_RISK = {"low": "green", "medium": "yellow", "high": "red"}


@formats_app.command(epilog="Example: stele formats report")
def report(home: Home = None, as_json: AsJson = False) -> None:
    """Every format in the archive: AIPs, files, bytes, unsound ones, risk."""
    from dataclasses import asdict

    from rich.markup import escape
    from rich.table import Table

    from pipeline.formats.report import format_report
    from stele.screen import OUT, print_json, size_text
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
        table.add_row(line.puid, escape(line.name), *numbers, risk, line.decision)
    if not as_json:
        OUT.print(table)
        OUT.print("Risk: how likely it is that nobody can open it in fifty years (stele formats policy).")


@formats_app.command(epilog="Example: stele formats policy")
def policy(home: Home = None, as_json: AsJson = False) -> None:
    """The rules in the order in which they are asked; the first that fits decides."""
    from rich.markup import escape
    from rich.table import Table

    from stele.screen import OUT, print_json
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
            escape(rule.name), rule.decision, risk, rule.preserve or "as it is",
            rule.access or "as it is", escape(rule.reason),
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

    from rich.markup import escape

    from pipeline.preservation.formats import reidentify as run
    from stele.screen import OUT, print_json
    from stele.workspace import opened

    number = 0
    with plain_errors(), opened(home) as archive:
        if aips:
            chosen = iter([package_id(aip).urn for aip in aips])
        elif unknown:
            chosen = iter(archive.catalogue.with_format(["unknown"]))
        else:
            chosen = iter([row.id for row in archive.catalogue.aips()])
        for number, (aip, changed) in enumerate(run(archive, chosen), 1):  # noqa: B007  (used below)
            if as_json:
                print_json({"aip": aip, **asdict(changed)})
            else:
                said = f"{changed.before} → {changed.puid}  {escape(changed.path)} ({aip})"
                OUT.print(said, soft_wrap=True)
    if not as_json:
        OUT.print(f"{number} file(s) are of another format today." if number else "Nothing has changed.")


@formats_app.command(
    epilog="Example: stele formats override 7a3c… letters/1.wps fmt/40 --by 'B. Clerk' --reason 'opened it'"
)
def override(
    aip: Annotated[str, typer.Argument(help="urn:uuid:…, uuid-… or the bare UUID.")],
    path: Annotated[str, typer.Argument(help="The file's name in the records.")],
    puid: Annotated[str, typer.Argument(help="What it is: fmt/40, x-fmt/111, local/name.")],
    by: Annotated[str, typer.Option("--by", help="Who says so; it is recorded.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    home: Home = None,
) -> None:
    """Say what a stored file is; recorded as an event of that person, the AIP stays as it is."""
    from pipeline.preservation.formats import OverrideRefused, override_format
    from stele.command_parts import fail
    from stele.screen import OUT
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive:
        try:
            override_format(archive, package_id(aip).urn, path, puid, person=by, reason=reason)
        except OverrideRefused as error:
            fail(str(error), EXIT_INVALID)
    OUT.print("Recorded.")
