"""``stele review list``."""

from __future__ import annotations

from stele.cli.options import AsJson, Home, plain_errors
from stele.cli.output import OUT, data, print_json, rows_table
from stele.review import waiting
from stele.workspace import opened_with_settings

EXAMPLE = "stele review list --json"


def command(home: Home = None, as_json: AsJson = False) -> None:
    """Submissions in review, and removals that wait for their second person."""
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
