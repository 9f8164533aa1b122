"""``stele store list``."""

from __future__ import annotations

from stele.cli.options import (
    AsJson,
    Home,
    plain_errors,
)
from stele.cli.output import OUT, data, print_json, rows_table
from stele.workspace import opened
from storage.states import CopyState

EXAMPLE = "stele store list"


def command(home: Home = None, as_json: AsJson = False) -> None:
    """The stores, what each must hold, and in what state its copies are."""
    table = rows_table(
        "Store",
        "Verified",
        "Damaged",
        "Missing",
        "Pending",
        "Unreadable",
        whole=("Verified", "Damaged", "Missing"),
    )
    states = [one for one in CopyState if one is not CopyState.UNVERIFIED]
    with plain_errors(), opened(home) as archive:
        for store in archive.stores:
            counts = archive.catalogue.copies.count(store.name)
            lacking = sum(1 for _ in archive.catalogue.copies.lacking(store.name))
            role = f"{store.role}{'' if store.audited else ', not audited'}"
            if as_json:
                facts = {
                    "store": store.name,
                    "kind": store.kind,
                    "place": store.place,
                    "role": str(store.role),
                }
                copies = {str(state): counts.get(state, 0) for state in states}
                print_json({**facts, "audited": store.audited, **copies, "lacking": lacking})
            else:
                numbers = (str(counts.get(state, 0)) for state in states)
                kind = "folder" if store.kind == "files" else store.kind
                what = ", ".join(filter(None, (f"{kind} store", role, store.place)))
                table.add_row(f"{data(store.name)}\n[dim]{data(what)}[/]", *numbers)
    if not as_json:
        OUT.print(table)
