"""``stele audit`` and the verbs of ``stele store`` that look after what is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from stele.cli.options import (
    EXIT_FAILED,
    EXIT_INVALID,
    EXIT_USAGE,
    AsJson,
    Home,
    fail,
    package_id,
    plain_errors,
)

if TYPE_CHECKING:
    from pipeline.archive import Archive
    from pipeline.preservation.reconcile import Difference
    from storage.replicas.store import ArchivalStore

StoreName = Annotated[str | None, typer.Option("--store", help="Only this store, by name.")]


def register(app: typer.Typer, store_app: typer.Typer) -> None:
    """Add these commands to the front door."""
    app.command(epilog="Example: stele audit --hours 2")(audit)
    store_app.command("list")(store_list)
    store_app.command("replicate", epilog="Example: stele store replicate --store s3")(store_replicate)
    store_app.command("repair", epilog="Example: stele store repair")(store_repair)
    store_app.command("reconcile")(store_reconcile)
    store_app.command("rebuild", epilog="Example: stele store rebuild")(store_rebuild)
    store_app.command("sweep", epilog="Example: stele store sweep --remove")(store_sweep)


_AUDIT_EXIT = {"verified": 0, "unreadable": EXIT_FAILED}


def audit(
    hours: Annotated[float | None, typer.Option(min=0, help="Stop after so many hours.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every copy now, due or not.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Read again what is due, every byte of every copy, longest unseen first; repair as configured."""
    from dataclasses import replace

    from pipeline.preservation.audit import audit as run
    from stele.cli.output import OUT, data, print_json
    from stele.wiring import audit_budget
    from stele.workspace import opened_with_settings

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
                worst = max(worst, _AUDIT_EXIT.get(str(state), EXIT_INVALID))
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
            elif result.seen.state != "verified":
                _show_damage(record)
    if not as_json:
        said = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
        OUT.print(f"Audit: {said or 'nothing was due'}")
    raise typer.Exit(worst)


def _show_damage(record: dict[str, object]) -> None:
    from stele.cli.output import OUT, data

    colour = "green" if record["outcome"] == "verified" else "red"
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


def store_list(home: Home = None, as_json: AsJson = False) -> None:
    """The stores, what each must hold, and in what state its copies are."""
    from rich.table import Table

    from stele.cli.output import OUT, data, print_json
    from stele.workspace import opened

    table = Table()
    for column in (
        "Store",
        "Kind",
        "Place",
        "Role",
        "Verified",
        "Damaged",
        "Missing",
        "Pending",
        "Unreadable",
    ):
        table.add_column(column, overflow="fold")
    states = ("verified", "damaged", "missing", "pending", "unreadable")
    with plain_errors(), opened(home) as archive:
        for store in archive.stores:
            counts = archive.catalogue.copies.count(store.name)
            lacking = sum(1 for _ in archive.catalogue.copies.lacking(store.name))
            role = f"{store.role}{'' if store.audited else ', paused'}"
            if as_json:
                facts = {
                    "store": store.name,
                    "kind": store.kind,
                    "place": store.place,
                    "role": str(store.role),
                }
                copies = {state: counts.get(state, 0) for state in states}
                print_json({**facts, "audited": store.audited, **copies, "lacking": lacking})
            else:
                numbers = (str(counts.get(state, 0)) for state in states)
                table.add_row(data(store.name), store.kind, data(store.place), role, *numbers)
    if not as_json:
        OUT.print(table)


def store_replicate(store: StoreName = None, home: Home = None, as_json: AsJson = False) -> None:
    """Create copies that are pending, damaged or missing, from stores that have them intact."""
    from dataclasses import asdict

    from pipeline.holdings.journal import write_journal
    from pipeline.preservation.replicate import replicate
    from stele.cli.output import OUT, print_json
    from stele.workspace import opened

    made, failed, skipped = 0, 0, 0
    with plain_errors(), opened(home) as archive:
        for done in replicate(archive, _chosen(archive, store)):
            made, skipped = made + done.made, skipped + done.skipped
            failed += not done.made and not done.skipped
            if as_json:
                print_json(asdict(done))
            elif not done.made:
                OUT.print(f"[red]not copied[/]  {done.aip} to {done.store}: {done.reason}", soft_wrap=True)
        write_journal(archive, catch_up=True)
    if not as_json:
        busy = f", {skipped} in use by another process" if skipped else ""
        OUT.print(f"{made} copies made and verified, {failed} could not be made{busy}")
    raise typer.Exit(EXIT_FAILED if failed else 0)


def _chosen(archive: Archive, name: str | None) -> list[ArchivalStore] | None:
    if name is None:
        return None
    found = [store for store in archive.stores if store.name == name]
    if not found:
        known = ", ".join(store.name for store in archive.stores)
        fail(f"there is no store “{name}”; there are: {known}", EXIT_USAGE)
    return found


def store_repair(
    aip: Annotated[str | None, typer.Argument(help="One AIP; default: all that are damaged.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Repair damaged and missing copies from verified ones; what is replaced is kept in quarantine."""
    from dataclasses import asdict

    from pipeline.holdings.journal import write_journal
    from pipeline.preservation.audit import repair_all
    from stele.cli.output import OUT, data, print_json
    from stele.workspace import opened_with_settings

    bad = 0
    with plain_errors(), opened_with_settings(home) as (archive, settings):
        only = package_id(aip, archive).urn if aip else None
        for result in repair_all(archive, settings.place(settings.quarantine), only):
            done = result.repaired
            whole = done is not None and done.state == "verified"
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
                    f"{mark}  {done.aip} in {done.store}: {done.repaired_count} object(s)", soft_wrap=True
                )
                for why in done.reasons:
                    OUT.print(f"  {data(why)}", soft_wrap=True)
                for key in done.unrepaired[:12]:
                    OUT.print(f"  not repaired: {data(key)}", soft_wrap=True)
        write_journal(archive, catch_up=True)
    raise typer.Exit(EXIT_INVALID if bad else 0)


def store_reconcile(home: Home = None, as_json: AsJson = False) -> None:
    """Compare catalogue and storage in both directions (lists every store)."""
    from pipeline.preservation.reconcile import reconcile
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive:
        found = _print_differences(reconcile(archive), as_json, "Catalogue and storage agree.")
    raise typer.Exit(EXIT_INVALID if found else 0)


def store_sweep(
    days: Annotated[float, typer.Option(min=0, help="Untouched for so many days.")] = 2.0,
    remove: Annotated[bool, typer.Option("--remove", help="Remove it; otherwise only show it.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show, or remove, what interrupted writes left in the stores."""
    from pipeline.preservation.reconcile import sweep
    from stele.workspace import opened

    with plain_errors(), opened(home) as archive:
        found = sweep(archive, timedelta(days=days), remove=remove)
        _print_differences(found, as_json, "There is nothing to sweep.")


def _print_differences(found: Iterable[Difference], as_json: bool, nothing: str) -> int:
    from dataclasses import asdict

    from packages.sizes import size_text
    from stele.cli.output import OUT, print_json

    number = 0
    for number, difference in enumerate(found, 1):  # noqa: B007  (the count is used after the loop)
        if as_json:
            print_json(asdict(difference))
        else:
            OUT.print(
                f"[yellow]{difference.kind}[/]  {difference.subject} ({difference.store}, "
                f"{difference.objects} objects, {size_text(difference.bytes)})",
                soft_wrap=True,
            )
    if not number and not as_json:
        OUT.print(nothing)
    return number


def store_rebuild(home: Home = None, as_json: AsJson = False) -> None:
    """Make the catalogue again from what the stores hold."""
    from dataclasses import asdict

    from pipeline.preservation.rebuild import rebuild
    from stele.cli.output import ERR, OUT, print_json
    from stele.workspace import opened

    good, bad = 0, 0
    with plain_errors(), opened(home) as archive:
        for done in rebuild(archive):
            good, bad = good + (not done.problem), bad + bool(done.problem)
            if as_json:
                print_json(asdict(done))
            elif done.problem:
                ERR.print(f"[red]not registered[/]  {done.subject}: {done.problem}", soft_wrap=True)
    if not as_json:
        OUT.print(f"{good} copies registered, {bad} objects could not be read")
    raise typer.Exit(EXIT_INVALID if bad else 0)


__all__ = ["register"]
