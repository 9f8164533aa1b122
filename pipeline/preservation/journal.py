"""The journal: what happened to AIPs after their ingest, written into every store.

One object a run, a line of JSON an event, below ``extensions/stele-journal/``; never changed once
written. Without it the history of audits, repairs and removals would live in the catalogue alone.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict

from packages.package_file import timestamp
from pipeline.ingest import Archive
from pipeline.presence import require_present
from storage.catalogue import EventRow
from storage.errors import StorageError
from storage.protocol import ObjectStore, Upload, read_all

__all__ = ["FOLDER", "read_journal", "write_journal"]

FOLDER = "extensions/stele-journal"
_BATCH = 5000


def write_journal(archive: Archive) -> int:
    """Bring events that only the catalogue knows into storage; how many.

    An event counts as journaled when every required store took it; a store that is out of reach
    gets the events with a later journal, and the others get them twice, which readers ignore.
    """
    written = 0
    while events := archive.catalogue.not_journaled(_BATCH):
        lines = "".join(
            json.dumps({"aip": aip, **asdict(row)}, ensure_ascii=False) + "\n" for aip, row in events
        ).encode()
        now = archive.clock()
        name = f"{FOLDER}/{now:%Y/%m}/{timestamp(now).replace(':', '')}-{uuid.uuid4().hex[:8]}.jsonl"
        complete = True
        for store in archive.stores:
            try:
                require_present(store, archive.catalogue)
                store.repository.initialise()
                store.repository.store.put([Upload.of(name, lines)])
            except StorageError:
                complete = False
        if not complete:
            break  # the next run tries again
        archive.catalogue.mark_journaled([row.id for _, row in events])
        written += len(events)
    return written


def read_journal(store: ObjectStore) -> Iterator[tuple[str, EventRow]]:
    """(AIP, event) of everything a store's journals tell, oldest first, some perhaps twice.

    A line that cannot be read is left out: the other stores have the same journals.
    """
    for key in store.list(f"{FOLDER}/"):
        for line in read_all(store, key).decode("utf-8", "replace").split("\n"):
            with suppress(ValueError, TypeError, AttributeError, KeyError):
                record = json.loads(line)
                yield record.pop("aip"), EventRow(**record)
