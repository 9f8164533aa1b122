"""``stele store repair``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipeline.holdings.journal import write_journal
from pipeline.preservation.audit import repair_all
from stele.cli.options import (
    EXIT_INVALID,
    AsJson,
    Home,
    package_id,
    plain_errors,
)
from stele.cli.output import OUT, data, print_json
from stele.workspace import opened_with_settings
from storage.states import CopyState

EXAMPLE = "stele store repair"


def command(
    aip: Annotated[str | None, typer.Argument(help="One AIP; default: all that are damaged.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Repair damaged and missing copies from verified ones; what is replaced is kept in quarantine."""
    bad = 0
    with plain_errors(), opened_with_settings(home) as (archive, settings):
        only = package_id(aip, archive).urn if aip else None
        for result in repair_all(archive, settings.place(settings.quarantine), only):
            done = result.repaired
            whole = done is not None and done.state == CopyState.VERIFIED
            bad += not whole
            if done is None:
                busy = {"aip": result.seen.object_id, "store": result.seen.store, "skipped": result.skipped}
                if as_json:
                    print_json(busy)
                else:
                    OUT.print(f"skipped: {data(result.skipped)}", soft_wrap=True)
            elif as_json:
                print_json(asdict(done))
            else:
                mark = "[green]repaired[/]" if whole else "[red]not repaired[/]"
                OUT.print(
                    f"{mark}  {done.aip} in {data(done.store)}: {done.repaired_count} object(s)",
                    soft_wrap=True,
                )
                for why in done.reasons:
                    OUT.print(f"  {data(why)}", soft_wrap=True)
                for key in done.unrepaired[:12]:
                    OUT.print(f"  not repaired: {data(key)}", soft_wrap=True)
        write_journal(archive, catch_up=True)
    raise typer.Exit(EXIT_INVALID if bad else 0)
