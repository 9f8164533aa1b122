"""``stele review``: what waits for a person, and the person's decision."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.review.decisions import Decision
from stele.cli.options import AsJson, Home, plain_errors

review_app = typer.Typer(no_args_is_help=True, help="What waits for a decision: list it, decide it.")


@review_app.command("list", epilog="Example: stele review list --json")
def review_list(home: Home = None, as_json: AsJson = False) -> None:
    """Submissions in review, and removals that wait for their second person."""
    from stele.cli.output import OUT, data, print_json, rows_table
    from stele.review import waiting
    from stele.workspace import opened_with_settings

    table = rows_table("Number", "Submission", "Agency", "What was found", "Needs", whole=("Number",))
    number_waiting = 0
    with plain_errors(), opened_with_settings(home) as (archive, settings):
        for one in waiting(archive, settings):
            number_waiting += 1
            if as_json:
                print_json(one.as_json())
                continue
            needs = f"a second person ({one.waiting} agreed)" if one.waiting else "a decision"
            found = "\n".join(one.found[:10]) + (
                f"\n… {len(one.found) - 10} more" if one.found[10:] else ""
            )
            number = one.id.removeprefix("urn:uuid:")[:8]
            name = f"{data(one.subject.rstrip('/').rsplit('/', 1)[-1])}\n[dim]{one.since[:10]}[/]"
            table.add_row(number, name, data(one.agency), data(found), needs)
    if as_json:
        return
    if number_waiting:
        OUT.print(table)
        OUT.print("Decide with: stele review decide NUMBER accept|reject|keep --by NAME --reason WHY")
    else:
        OUT.print("Nothing waits for a decision.")


@review_app.command("show", epilog="Example: stele review show 5d1f")
def review_show(
    number: Annotated[
        str, typer.Argument(help="As “stele review list” shows it, or its first characters.")
    ],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Everything that was found about one of them, and what was decided so far."""
    from dataclasses import asdict

    from stele.cli.output import OUT, data, print_json
    from stele.review import one_waiting
    from stele.workspace import opened_with_settings

    with plain_errors(), opened_with_settings(home) as (archive, settings):
        one = one_waiting(archive, settings, number)
        decisions = archive.catalogue.decisions.of(one.id)
    if as_json:
        print_json({**one.as_json(), "decisions": [asdict(row) for row in decisions]})
        return
    OUT.print(f"[bold]{one.id}[/]  {one.kind}\n{data(one.subject)}", soft_wrap=True)
    OUT.print(f"{data(one.agency)}, since {one.since}", soft_wrap=True)
    OUT.print("\nWhat was found:")
    for found in one.found:
        OUT.print(f"  • {data(found)}", soft_wrap=True)
    for row in decisions:
        said = f"{row.time} {row.verdict} by {row.person}: {row.reason}"
        OUT.print(f"  {data(said)}", soft_wrap=True)
    if one.waiting:
        OUT.print(f"\n{data(one.waiting)} has accepted; a second person must agree.", soft_wrap=True)
    OUT.print("\nDecide with: stele review decide NUMBER accept|reject|keep --by NAME --reason WHY")


@review_app.command(
    "decide",
    epilog="Example: stele review decide 5d1f… accept --by 'A. Clerk' --reason 'false alarm, see 12/26'",
)
def review_decide(
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
    from stele.cli.output import OUT, print_json, print_results, watching
    from stele.review import decide_and_carry_out, one_waiting
    from stele.workspace import opened_with_settings

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
    raise typer.Exit(done.result.outcome.exit_code if done.result and decision is Decision.ACCEPT else 0)
