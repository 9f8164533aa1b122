"""Sums kept beside the rows they add up, changed in the same transaction: never late, never guessed."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, TextClause, bindparam, select

from storage.catalogue.database import insert_or
from storage.catalogue.rows import TallyRow
from storage.catalogue.tables import AIP, COPY, COPY_TALLY, FORMAT, TALLY
from storage.states import AipState

__all__ = ["recounted", "recounted_copies", "tallies_of"]

_SUMS = ("aips", "files", "bytes", "not_valid", "pages", "seconds")
_KEPT = select(AIP).where(AIP.c.id == bindparam("of_aip"), AIP.c.state == AipState.KEPT)
_FORMATS = select(FORMAT).where(FORMAT.c.aip == bindparam("of_aip"))
_COPIES = (
    select(COPY.c.store, COPY.c.state, COPY.c.verified, AIP.c.bytes)
    .join(AIP, AIP.c.id == COPY.c.aip)
    .where(COPY.c.aip == bindparam("of_aip"), AIP.c.state == AipState.KEPT)
)
_Part = dict[tuple[str, ...], tuple[int, ...]]
"""What one AIP adds to the sums: key to numbers."""


@contextmanager
def recounted(connection: Connection, aip: str) -> Iterator[None]:
    """Carry over to all sums whatever is changed about an AIP, its formats and copies."""
    sums, copies = _sums(connection, aip), _copies(connection, aip)
    labels: dict[tuple[str, ...], dict[str, str]] = {}
    yield
    after = _sums(connection, aip, labels)
    changes = [
        {"kind": kind, "name": name, **labels.get((kind, name), {"label": "", "mime": ""}),
         **dict(zip(_SUMS, numbers, strict=True))}
        for (kind, name), numbers in _difference(sums, after)
    ]  # fmt: skip
    _add(connection, TALLY, ("kind", "name"), _SUMS, changes)
    _add_copies(connection, copies, _copies(connection, aip))


@contextmanager
def recounted_copies(connection: Connection, aip: str) -> Iterator[None]:
    """The same where only copies are changed."""
    before = _copies(connection, aip)
    yield
    _add_copies(connection, before, _copies(connection, aip))


def tallies_of(connection: Connection, kind: str) -> tuple[TallyRow, ...]:
    """The sums of a kind (``month``, ``agency``, ``format``), by name."""
    columns = [column for column in TALLY.c if column.name != "kind"]
    query = select(*columns).where(TALLY.c.kind == kind, TALLY.c.aips > 0).order_by(TALLY.c.name)
    return tuple(TallyRow(**row._mapping) for row in connection.execute(query))


def _sums(
    connection: Connection, aip: str, labels: dict[tuple[str, ...], dict[str, str]] | None = None
) -> _Part:
    row = connection.execute(_KEPT, {"of_aip": aip}).first()
    if row is None:
        return {}
    whole = (1, row.files, row.bytes, 0, 0, 0)
    part: _Part = {("month", row.created[:7]): whole, ("agency", row.agency[:512]): whole}
    for f in connection.execute(_FORMATS, {"of_aip": aip}):
        part["format", f.puid] = (1, f.files, f.bytes, f.not_valid, f.pages, f.seconds)
        if labels is not None:
            labels["format", f.puid] = {"label": f.name, "mime": f.mime}
    return part


def _copies(connection: Connection, aip: str) -> _Part:
    return {
        (store, state, verified[:10]): (1, size)
        for store, state, verified, size in connection.execute(_COPIES, {"of_aip": aip})
    }


def _difference(before: _Part, after: _Part) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """What is to be added, in a fixed order: two writers who lock rows crosswise would wait for ever."""
    changes = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        width = len(new or old or ())
        delta = tuple(
            n - o for o, n in zip(old or (0,) * width, new or (0,) * width, strict=True)
        )  # fmt: skip
        if any(delta):
            changes.append((key, delta))
    return changes


def _add_copies(connection: Connection, before: _Part, after: _Part) -> None:
    changes = [
        {"store": store, "state": state, "day": day, "copies": copies, "bytes": size}
        for (store, state, day), (copies, size) in _difference(before, after)
    ]
    _add(connection, COPY_TALLY, ("store", "state", "day"), ("copies", "bytes"), changes)


def _add(
    connection: Connection,
    table: Table,
    key: tuple[str, ...],
    sums: tuple[str, ...],
    changes: list[dict[str, Any]],
) -> None:
    if changes:
        connection.execute(_addition_to(table, key, sums), changes)


@functools.cache
def _addition_to(table: Table, key: tuple[str, ...], sums: tuple[str, ...]) -> TextClause:
    more = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in sums)
    return insert_or(table, [column.name for column in table.columns], key, f"DO UPDATE SET {more}")
