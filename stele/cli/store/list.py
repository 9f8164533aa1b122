"""``stele store list``."""

from __future__ import annotations

from rich.table import Table

from stele.cli.options import (
    AsJson,
    Home,
    plain_errors,
)
from stele.cli.output import OUT, data, print_json
from stele.workspace import opened

EXAMPLE = "stele store list"


def command(home: Home = None, as_json: AsJson = False) -> None:
    """The stores, what each must hold, and in what state its copies are."""
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
