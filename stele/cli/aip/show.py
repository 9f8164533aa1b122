"""``stele aip show``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from packages.identifiers import PackageId
from packages.sizes import size_text
from pipeline.errors import UnknownPackage
from stele.cli.options import Aip, AsJson, Home, package_id, plain_errors
from stele.cli.output import OUT, data, print_json
from stele.workspace import opened
from storage.catalogue import Catalogue

EXAMPLE = "stele aip show 7a3c"


def command(aip: Aip, home: Home = None, as_json: AsJson = False) -> None:
    """One AIP: what it is, where its copies are, its formats, what happened to it."""
    with plain_errors(), opened(home) as archive:
        record = _as_record(package_id(aip, archive), archive.catalogue)
    if as_json:
        print_json(record)
    else:
        _print_record(record)


def _as_record(package: PackageId, catalogue: Catalogue) -> dict[str, Any]:
    """Everything the catalogue knows. Raises UnknownPackage."""
    row = catalogue.aips.get(package.urn)
    if row is None:
        raise UnknownPackage(f"the catalogue has no AIP {package.urn}")
    return {
        **asdict(row),
        "copies": list(catalogue.copies.stores_with_verified(row.id)),
        "formats": [asdict(count) for count in catalogue.formats.of(row.id)],
        "events": [asdict(event) for event in catalogue.events.of(row.id)],
    }


def _print_record(record: dict[str, Any]) -> None:
    """The record for people."""
    OUT.print(f"[bold]{data(record['title'])}[/]  {record['id']}", soft_wrap=True)
    OUT.print(
        f"{record['files']} files, {size_text(record['bytes'])}, {record['version']} of "
        f"{record['created']}, from {data(record['agency'])}; "
        f"copies in {data(', '.join(record['copies']))}",
        soft_wrap=True,
    )
    formats = Table("PUID", "Format", "Files", "Size", title="Formats", title_justify="left")
    for count in record["formats"]:
        size = size_text(count["bytes"])
        formats.add_row(count["puid"], data(count["name"]), str(count["files"]), size)
    events = Table("Time", "Event", "Outcome", "Detail", title="Events", title_justify="left")
    for event in record["events"]:
        detail = data(" – ".join(part for part in (event["detail"], event["note"]) if part))
        events.add_row(event["time"], event["type"], event["outcome"], detail)
    OUT.print(formats)
    OUT.print(events)
