"""What every command shares: common options, exit codes, errors as sentences."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from packages.identifiers import PackageId

Home = Annotated[
    Path | None,
    typer.Option("--home", help="The workspace; default $STELE_HOME or the current folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")]

EXIT_INVALID, EXIT_USAGE, EXIT_FAILED = 1, 2, 3


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say what is wrong in one sentence and stop."""
    from rich.markup import escape

    from stele.cli.output import ERR

    ERR.print(f"[red]stele:[/] {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Known errors as sentences with the right exit code; anything else is a bug and shows itself."""
    from pipeline.agreement import AgreementError
    from pipeline.errors import PipelineError, UnknownPackage
    from pipeline.formats.policy import PolicyError
    from pipeline.holdings.aip_reader import ExportRefused
    from stele.settings import SettingsError
    from storage.errors import StorageError

    try:
        yield
    except (SettingsError, AgreementError, ExportRefused, PolicyError, UnknownPackage) as error:
        fail(str(error), EXIT_USAGE)
    except (PipelineError, StorageError) as error:
        fail(str(error))
    except BrokenPipeError:  # the reader of our output went away
        sys.stderr.close()
        raise typer.Exit(0) from None
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))


def package_id(text: str) -> PackageId:
    """An AIP's identifier as a person typed it; anything else ends the command."""
    from packages.identifiers import PackageId

    try:
        return PackageId.parse(text)
    except ValueError:
        fail(f"“{text}” is no AIP identifier (urn:uuid:…, uuid-… or a UUID)", EXIT_USAGE)
