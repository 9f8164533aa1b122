"""The ``stele`` command. Each verb reads settings, calls the pipeline and prints the outcome."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stele import __version__
from stele.cli import accounts, formats, nightly, preservation, removal, review, serve, submissions, update
from stele.cli.options import (
    EXIT_FAILED,
    EXIT_INVALID,
    EXIT_USAGE,
    AsJson,
    Home,
    package_id,
    plain_errors,
)

if TYPE_CHECKING:
    from stele.settings import Settings

app = typer.Typer(
    name="stele",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Takes records in, proves they are whole, keeps them readable for a century.\n\n"
    "Start with: [bold]stele init ARCHIVE[/], then [bold]stele --help[/] of any command.",
)
aip_app = typer.Typer(no_args_is_help=True, help="What is kept: list it, look at it, export it.")
store_app = typer.Typer(no_args_is_help=True, help="The archival storage.")
app.add_typer(aip_app, name="aip")
app.add_typer(store_app, name="store")
app.add_typer(formats.formats_app, name="formats")
app.add_typer(review.review_app, name="review")
preservation.register(app, store_app)
removal.register(aip_app)
update.register(aip_app)
nightly.register(app)
submissions.register(app)
accounts.register(app)
serve.register(app)

# A store that gives no bytes says nothing about what is kept in it: our side failed.
_VERIFY_EXIT = {"intact": 0, "unreadable": EXIT_FAILED}


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show on stderr what goes into logs/stele.jsonl.")
    ] = False,
) -> None:
    if verbose:
        from stele.logs import show_log

        show_log()
    if version:
        typer.echo(f"stele {__version__}")
        raise typer.Exit


@app.command(epilog="Example: stele init /srv/archive")
def init(
    folder: Annotated[Path, typer.Argument(help="The new workspace.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a workspace: settings, drop box, store and catalogue."""
    from stele.cli.output import OUT, print_json
    from stele.workspace import make_workspace

    with plain_errors():
        made = make_workspace(folder.resolve())
    if as_json:
        print_json({"home": str(folder.resolve()), "created": made})
    elif made:
        OUT.print(f"Workspace ready in {folder.resolve()}", soft_wrap=True)
        OUT.print(f"Next: [bold]stele ingest --home {folder} A-BAG[/]", soft_wrap=True)
    else:
        OUT.print(f"{folder.resolve()} is a workspace already; nothing was changed.")


@app.command(epilog="Example: stele ingest dropbox/*.zip --agreement county-office")
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Bags: folders, zip, tar or tar.gz.")],
    agreement: Annotated[str | None, typer.Option(help="Submission agreement by name.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ingest submissions now. Each ends as stored, duplicate, rejected, in review or failed."""
    from stele.intake import ingest_now

    def choose(settings: Settings) -> Callable[..., object]:
        return lambda path, agreed, archive, report: ingest_now(archive, settings, path, agreed, report)

    _each(paths, agreement, home, as_json, choose, "Ingest")


@app.command(epilog="Example: stele check delivery.zip --json")
def check(
    paths: Annotated[list[Path], typer.Argument(help="Bags, E-ARK packages or METS files.")],
    agreement: Annotated[str | None, typer.Option(help="Submission agreement by name.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Judge submissions, bags, E-ARK packages or METS files; store nothing."""
    from pipeline.checking.submission import check as run

    _each(paths, agreement, home, as_json, lambda _: run, "Check", need_workspace=False)


def _each(
    paths: list[Path],
    agreement: str | None,
    home: Path | None,
    as_json: bool,
    choose: Callable[[Settings], Callable[..., object]],
    title: str,
    *,
    need_workspace: bool = True,
) -> None:
    """Run every path through what ``choose`` names, printing as results come."""
    from pipeline.context import Result
    from stele.cli.output import print_json, print_results, watching
    from stele.wiring import build_archive, choose_agreement
    from stele.workspace import settings_for
    from storage.scratch import sweep_scratch

    with plain_errors(), settings_for(home, need_workspace=need_workspace) as settings:
        agreed = choose_agreement(settings, agreement)
        archive = build_archive(settings)
        sweep_scratch(archive.work)
        run = choose(settings)
        results = []
        for path in paths:
            with watching(path.name) as report:
                result = run(path, agreed, archive, report)
            assert isinstance(result, Result)
            results.append(result)
            if as_json:
                print_json(result.as_json())
        archive.catalogue.close()
    if not as_json:
        print_results(results, title)
    codes = [
        result.outcome.exit_code if path.exists() else EXIT_USAGE
        for path, result in zip(paths, results, strict=True)
    ]
    raise typer.Exit(max(codes, default=0))


@app.command(epilog="Example: stele inspect report.pdf scans/")
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what files are: format, size, SHA-512, whether they are valid, what to know about them."""
    from rich.table import Table

    from packages.sizes import size_text
    from pipeline.checking.files import inspect_files
    from stele.cli.output import OUT, data, print_json
    from stele.wiring import build_tools
    from stele.workspace import settings_or_defaults

    table = Table()
    for column in ("File", "Size", "PUID", "Format", "Validity", "Notes"):
        table.add_column(column, overflow="fold", no_wrap=column in ("Size", "PUID", "Validity"))
    with plain_errors():
        for record in inspect_files(paths, build_tools(settings_or_defaults(home))):
            if as_json:
                print_json(record)
                continue
            notes = "; ".join(str(m) for m in record["messages"])
            size = size_text(record["size"])
            validity = record["validity"]
            cells = (record["path"], size, record["puid"] or "unknown", record["format"], validity, notes)
            table.add_row(*(data(str(cell)) for cell in cells))
    if not as_json:
        OUT.print(table)


@aip_app.command("list")
def aip_list(home: Home = None, as_json: AsJson = False) -> None:
    """All AIPs, newest first."""
    from dataclasses import asdict

    from packages.sizes import size_text
    from stele.cli.output import OUT, data, print_json, rows_table
    from stele.workspace import opened

    table = rows_table(
        "AIP", "Title", "Agency", "Files", "Size", "Created", whole=("AIP", "Files", "Size", "Created")
    )
    with plain_errors(), opened(home) as archive:
        for row in archive.catalogue.aips.all():
            if as_json:
                print_json(asdict(row))
            else:
                counts = (str(row.files), size_text(row.bytes), row.created[:10])
                number = row.id.removeprefix("urn:uuid:")[:8]
                table.add_row(number, data(row.title), data(row.agency), *counts)
    if not as_json:
        OUT.print(table)


@aip_app.command("show")
def aip_show(
    aip: Annotated[str, typer.Argument(help="An AIP: urn:uuid:…, uuid-…, a UUID or its first characters.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """One AIP: what it is, where its copies are, its formats, what happened to it."""
    from stele.cli.output import print_json
    from stele.cli.show_aip import as_record, print_record
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive:
        record = as_record(package_id(aip, archive), archive.catalogue)
    if as_json:
        print_json(record)
    else:
        print_record(record)


@aip_app.command("export", epilog="Example: stele aip export 7a3c… /tmp/out")
def aip_export(
    aip: Annotated[str, typer.Argument(help="An AIP: urn:uuid:…, uuid-…, a UUID or its first characters.")],
    folder: Annotated[Path, typer.Argument(help="The bag is written below this folder.")],
    version: Annotated[str | None, typer.Option(help="v1, v2…; default the newest.")] = None,
    by: Annotated[str, typer.Option("--by", help="Closed records only: who lets them leave.")] = "",
    reason: Annotated[str, typer.Option(help="Closed records only: why; it is recorded.")] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Give an AIP back as a valid bag; every digest is checked on the way."""
    from packages.sizes import size_text
    from pipeline.access.release import Release, export_released
    from stele.cli.output import OUT, print_json, print_problems, watching
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive, watching("export") as report:
        done = export_released(
            package_id(aip, archive), archive, folder, version=version, release=Release(by, reason),
            progress=lambda size: report("export", size, 1),
        )  # fmt: skip
    if as_json:
        problems = [problem.as_json() for problem in done.problems]
        counts = {"files": done.files, "bytes": done.bytes, "problems": problems}
        print_json({"aip": aip, "folder": str(done.folder), "version": done.version, **counts})
    else:
        OUT.print(f"{done.files} files, {size_text(done.bytes)} in {done.folder}", soft_wrap=True)
        print_problems(list(done.problems))
    raise typer.Exit(EXIT_INVALID if done.problems else 0)


@app.command(epilog="Example: stele dip 7a3c… /srv/reading-room")
def dip(
    aip: Annotated[str, typer.Argument(help="An AIP: urn:uuid:…, uuid-…, a UUID or its first characters.")],
    folder: Annotated[Path, typer.Argument(help="The DIP is written below this folder.")],
    access_copies: Annotated[
        bool, typer.Option("--access-copies", help="Add PDF, JPEG, MP3, MP4 as the policy wants them.")
    ] = False,
    by: Annotated[str, typer.Option("--by", help="Closed records only: who lets them leave.")] = "",
    reason: Annotated[str, typer.Option(help="Closed records only: why; it is recorded.")] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Build a DIP: the content, its METS, its provenance, and an index.html that opens offline."""
    from packages.sizes import size_text
    from pipeline.access.dip import disseminate
    from pipeline.access.release import Release
    from stele.cli.output import OUT, print_json, watching
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive, watching("dip") as report:
        made = disseminate(
            package_id(aip, archive), archive, folder, access_copies=access_copies,
            release=Release(by, reason), progress=lambda size: report("dip", size, 1),
        )  # fmt: skip
    if as_json:
        counts = {"files": made.files, "bytes": made.bytes}
        print_json({"aip": aip, "dip": made.dip, "folder": str(made.folder), **counts,
                    "failed": list(made.failed)})  # fmt: skip
    else:
        OUT.print(f"{made.files} files, {size_text(made.bytes)} in {made.folder}", soft_wrap=True)
        OUT.print(f"Open {made.folder / 'index.html'} in a browser.", soft_wrap=True)
        for line in made.failed[:20]:
            OUT.print(f"no access copy of {line}", soft_wrap=True, markup=False)


@store_app.command("verify", epilog="Example: stele store verify --json")
def store_verify(
    subject: Annotated[
        str | None,
        typer.Argument(help="An AIP, or a path to any OCFL object or storage root; default: all AIPs."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Re-read every byte of AIPs in every store, or of any OCFL object or storage root, and judge it."""
    from stele.cli.output import print_json
    from stele.cli.verification import print_report, verify_subject
    from stele.workspace import opened_for_verify

    worst = 0
    with plain_errors(), opened_for_verify(home, subject) as archive:
        for report in verify_subject(subject, archive):
            worst = max(worst, _VERIFY_EXIT.get(report.outcome, EXIT_INVALID))
            if as_json:
                print_json(report.as_json())
            else:
                print_report(report)
    raise typer.Exit(worst)


@store_app.command("probe", epilog="Example: stele store probe cloud")
def store_probe(
    name: Annotated[str | None, typer.Argument(help="A store; default: every S3 store.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find out what the servers of S3 stores really do, and keep the result."""
    from stele.cli.store import probe_stores

    with plain_errors():
        raise typer.Exit(EXIT_INVALID if probe_stores(name, home, as_json=as_json) else 0)


@app.command(epilog="Example: stele doctor --json")
def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """What is installed, reachable and configured, and what that switches off."""
    from stele.cli.doctor import show_findings

    show_findings(home, as_json=as_json)


def main() -> None:
    """The console script's entry."""
    app()


if __name__ == "__main__":
    main()
