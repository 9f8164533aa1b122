"""What every command shares: common options, exit codes, errors as sentences."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn, assert_never

import typer
from rich.markup import escape

from packages.identifiers import PackageId
from pipeline.access.export import ExportRefused
from pipeline.agreement import AgreementError
from pipeline.archive import Archive
from pipeline.errors import PipelineError, UnknownPackage
from pipeline.formats.policy import PolicyError
from pipeline.preservation.removal import RemovalRefused
from pipeline.review.decisions import DecisionRefused
from stele.cli.output import ERR
from stele.settings import SettingsError
from storage.errors import StorageError
from storage.states import Outcome

Home = Annotated[
    Path | None,
    typer.Option("--home", help="The workspace; default $STELE_HOME or the current folder."),
]
Aip = Annotated[str, typer.Argument(help="An AIP: urn:uuid:…, uuid-…, a UUID or its first characters.")]
By = Annotated[str, typer.Option("--by", help="Who says so; it is recorded.")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded.")]
ClosedBy = Annotated[str, typer.Option("--by", help="Closed records only: who lets them leave.")]
ClosedReason = Annotated[str, typer.Option(help="Closed records only: why; it is recorded.")]
AgreementName = Annotated[str | None, typer.Option(help="Submission agreement by name.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line on stdout.")]

EXIT_INVALID, EXIT_USAGE, EXIT_FAILED = 1, 2, 3


def exit_code(outcome: Outcome) -> int:
    """What the command line answers for a submission's outcome."""
    match outcome:
        case Outcome.STORED | Outcome.DUPLICATE | Outcome.ACCEPTABLE:
            return 0
        case Outcome.REJECTED | Outcome.IN_REVIEW:
            return EXIT_INVALID
        case Outcome.FAILED:
            return EXIT_FAILED
        case _:
            assert_never(outcome)


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say what is wrong in one sentence and stop."""
    ERR.print(f"[red]stele:[/] {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Known errors as sentences with the right exit code; anything else is a bug and shows itself."""
    try:
        yield
    except (
        SettingsError, AgreementError, ExportRefused, PolicyError, UnknownPackage, DecisionRefused,
        RemovalRefused,
    ) as error:  # fmt: skip
        fail(str(error), EXIT_USAGE)
    except (PipelineError, StorageError) as error:
        fail(str(error))
    except BrokenPipeError:  # the reader of our output went away
        sys.stderr.close()
        raise typer.Exit(0) from None
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))


_PREFIX = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")


def package_id(text: str, archive: Archive) -> PackageId:
    """An AIP's identifier as a person typed it, whole or its first characters; anything else ends the
    command."""
    try:
        return PackageId.parse(text)
    except ValueError:
        pass
    prefix = text.strip().lower().removeprefix("urn:uuid:").removeprefix("uuid-").rstrip("…")
    if not _PREFIX.fullmatch(prefix):
        fail(
            f"“{text}” is no AIP identifier (urn:uuid:…, uuid-…, a UUID, or its first characters)",
            EXIT_USAGE,
        )
    return PackageId.parse(
        only_one(archive.catalogue.aips.starting_with(f"urn:uuid:{prefix}"), text, "AIP")
    )


def only_one(found: Sequence[str], typed: str, kind: str) -> str:
    """What a shortened identifier stands for; none or several end the command."""
    if not found:
        fail(f"there is no {kind} whose identifier begins with “{typed}”", EXIT_USAGE)
    if len(found) > 1:
        fail(f"several {kind}s begin with “{typed}”, for instance {found[0]} and {found[1]}", EXIT_USAGE)
    return found[0]
