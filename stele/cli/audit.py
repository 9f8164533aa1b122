"""``stele audit``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated

import typer

from pipeline.preservation.audit import audit as run
from stele.cli.options import (
    EXIT_FAILED,
    EXIT_INVALID,
    AsJson,
    Home,
    plain_errors,
)
from stele.cli.output import OUT, data, print_json
from stele.wiring import audit_budget
from stele.workspace import opened_with_settings
from storage.states import CopyState

EXAMPLE = "stele audit --hours 2"


_AUDIT_EXIT = {CopyState.VERIFIED: 0, CopyState.UNREADABLE: EXIT_FAILED}


def command(
    hours: Annotated[float | None, typer.Option(min=0, help="Stop after so many hours.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every copy now, due or not.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Read again what is due, every byte of every copy, longest unseen first; repair as configured."""
    worst, counts = 0, Counter[str]()
    with plain_errors(), opened_with_settings(home) as (archive, settings):
        budget = audit_budget(settings)
        if hours is not None:
            budget = replace(budget, max_seconds=hours * 3600)
        if everything:
            budget = replace(budget, everything=True)
        for result in run(archive, budget):
            state = result.state
            counts["skipped" if result.skipped else str(state)] += 1
            if not result.skipped:
                worst = max(worst, _AUDIT_EXIT.get(CopyState(state), EXIT_INVALID))
            repaired = result.repaired
            record = {
                "object": result.seen.object_id, "store": result.seen.store, "outcome": str(state),
                "found": str(result.seen.state), "objects": result.seen.objects,
                "bytes": result.seen.bytes, "reason": result.seen.reason,
                "findings": [
                    {"key": f.key, "kind": str(f.kind), "expected": f.expected, "found": f.found}
                    for f in result.seen.findings
                ],
                "repaired": list(repaired.repaired) if repaired else [],
                "quarantine": repaired.quarantine if repaired else "", "skipped": result.skipped,
            }  # fmt: skip
            if as_json:
                print_json(record)
            elif result.skipped:
                OUT.print(f"skipped: {data(result.skipped)}", soft_wrap=True)
            elif result.seen.state is not CopyState.VERIFIED:
                _show_damage(record)
    if not as_json:
        said = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
        OUT.print(f"Audit: {said or 'nothing was due'}")
    raise typer.Exit(worst)


def _show_damage(record: dict[str, object]) -> None:
    colour = "green" if record["outcome"] == CopyState.VERIFIED else "red"
    OUT.print(
        f"[{colour}]{record['found']} → {record['outcome']}[/]  {record['object']} in "
        f"{data(str(record['store']))} {data(str(record['reason']))}",
        soft_wrap=True,
    )
    findings = record["findings"]
    assert isinstance(findings, list)
    for finding in findings[:12]:
        OUT.print(f"  {finding['kind']}: {data(finding['key'])}", soft_wrap=True)
    if record["quarantine"]:
        OUT.print(f"  what was replaced is kept in {data(str(record['quarantine']))}", soft_wrap=True)
