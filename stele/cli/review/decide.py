"""``stele review decide``."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.review.decisions import Decision
from stele.cli.options import AsJson, Home, exit_code, plain_errors
from stele.cli.output import OUT, print_json, print_results, watching
from stele.review import decide_and_carry_out, one_waiting
from stele.workspace import opened_with_settings

EXAMPLE = "stele review decide 5d1f accept --by 'A. Clerk' --reason 'false alarm, see 12/26'"


def command(
    number: Annotated[str, typer.Argument(help="As “stele review list” shows it.")],
    decision: Annotated[Decision, typer.Argument(help="accept, reject, or keep (in review).")],
    by: Annotated[str, typer.Option("--by", help="Who decides; it is kept with the records.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the records.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Decide about one of them. An accepted submission is taken in at once.

    Where the agreement wants two people, the first acceptance waits for a second person's.
    """
    with plain_errors(), opened_with_settings(home) as (archive, settings), watching("ingest") as report:
        done = decide_and_carry_out(
            archive, settings, one_waiting(archive, settings, number).id, decision, person=by,
            reason=reason, progress=report,
        )  # fmt: skip
    if as_json:
        print_json(done.as_json())
    else:
        OUT.print(f"Noted: {done.decision}; {done.detail}.", markup=False, soft_wrap=True)
        if done.result:
            print_results([done.result], "Ingest")
    raise typer.Exit(exit_code(done.result.outcome) if done.result and decision is Decision.ACCEPT else 0)
