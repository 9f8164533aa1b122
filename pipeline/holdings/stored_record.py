"""What the catalogue says about an AIP, read from the AIP itself.

So a catalogue can be lost: storage alone makes it again. The ingest uses the same reading where an
earlier, killed run has stored the AIP and only the catalogue has not heard of it.
"""

from __future__ import annotations

import json
import pickle
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from lxml import etree

from packages.aip.layout import AGREEMENT, PREMIS, AipLayout
from packages.identifiers import PackageId
from packages.package_file import PackageFile, pages_and_seconds
from packages.premis.reader import PremisFile, iter_events, iter_files
from pipeline.errors import DamagedArchive, PipelineError
from pipeline.holdings.aip_reader import AipReader
from storage.catalogue import AipRow, EventRow, FileRow, FormatCount
from storage.ocfl.inventory import InventoryEntry
from storage.ocfl.repository import OcflRepository
from storage.scratch import scratch_folder

__all__ = ["ForeignObject", "StoredRecord", "listed", "read_stored_record"]

_PREMIS = re.compile(rf"data/[^/]+/representations/[^/]+/{re.escape(PREMIS)}")
_METADATA = re.compile(
    rf"bag-info\.txt|data/[^/]+/(representations/[^/]+/)?{re.escape(PREMIS)}"
    rf"|data/[^/]+/{re.escape(AGREEMENT)}"
)
"""What is read of an AIP; its content, perhaps a million files, is not even listed."""


class ForeignObject(PipelineError):
    """The object is no AIP of the kind Stele writes; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """Everything of an AIP that the catalogue keeps."""

    aip: AipRow
    formats: tuple[FormatCount, ...]
    events: tuple[EventRow, ...]
    files: Callable[[], Iterator[FileRow]]
    """Read when they are asked for, and from a scratch file one by one: there may be a million."""


def listed(files: Iterable[PackageFile] | Iterable[PremisFile]) -> Iterator[FileRow]:
    """Files as the catalogue lists them: under the names the agency gave."""
    for file in files:
        yield FileRow(file.original, file.size, file.format.puid or "unknown", file.sha512)


def read_stored_record(
    repositories: Sequence[OcflRepository], object_id: str, scratch: Path
) -> StoredRecord:
    """Read the newest version's metadata, as the first of the repositories has it.

    Every document is compared with its digest; one that is damaged there is taken from the next.

    Raises UnknownPackage, InventoryUnreadable, StoreUnavailable; DamagedArchive, ForeignObject.
    """
    return _Reader(PackageId.parse(object_id), repositories, scratch).read()


_BATCH = 1000
_MAX_MEMORY_BYTES = 8 << 20


class _SpooledRows:
    """File rows in a scratch file, read once; the file goes with the last of them or with this object."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_MAX_MEMORY_BYTES)  # noqa: SIM115  (__del__)
        self._batch: Iterator[FileRow] = iter(())

    def add(self, batch: Sequence[FileRow]) -> None:
        """Some more rows."""
        pickle.dump([astuple(row) for row in batch], self._file)

    def rewind(self) -> Iterator[FileRow]:
        """All of them, from the first."""
        self._file.seek(0)
        return self

    def __iter__(self) -> Iterator[FileRow]:
        return self

    def __next__(self) -> FileRow:
        row = next(self._batch, None)
        if row is None:
            try:
                batch = pickle.load(self._file)  # of our own writing, in a file nobody else can open
            except EOFError:
                self._file.close()
                raise StopIteration from None
            self._batch = (FileRow(*values) for values in batch)
            return next(self)
        return row

    def __del__(self) -> None:
        self._file.close()


class _Reader:
    def __init__(self, package: PackageId, repositories: Sequence[OcflRepository], scratch: Path) -> None:
        self._package = package
        self._repositories = repositories
        self._object_id = package.urn
        self._scratch = scratch
        self._entries: dict[str, InventoryEntry] = {}

    def read(self) -> StoredRecord:
        with AipReader(self._package, self._repositories) as aip:
            return self._read(aip)

    def _read(self, aip: AipReader) -> StoredRecord:
        self._aip = aip
        try:
            layout = AipLayout(self._package)
            inventory = aip.inventory
            head, digest, created = inventory.head, inventory.sha512, inventory.versions[0].created
            self._entries = {e.logical: e for e in inventory.state() if _METADATA.fullmatch(e.logical)}
            info = self._bag_info()
            of_representations = sorted(path for path in self._entries if _PREMIS.fullmatch(path))
            formats, files, size = self._formats(of_representations)
            events = self._events(layout.logical(PREMIS))
            for premis in of_representations:
                events += self._events(premis)
            row = AipRow(
                id=self._object_id,
                version=head,
                title=info["External-Description"],
                agreement=info["Stele-Agreement"],
                agency=info["Source-Organization"],
                external_identifier=info.get("Internal-Sender-Identifier", ""),
                content_digest=info["Stele-Content-SHA-512"],
                files=files,
                bytes=size,
                created=created,
                inventory_sha512=digest,
                retain_until=self._retain_until(layout.logical(AGREEMENT)),
            )
        except (KeyError, TypeError, ValueError, etree.XMLSyntaxError) as error:
            raise ForeignObject(f"{self._object_id} is no AIP of Stele's: {error!r}") from error
        in_order = tuple(sorted(events, key=lambda event: (event.time, event.id)))
        return StoredRecord(row, formats, in_order, lambda: self._files(of_representations))

    def _files(self, documents: list[str]) -> Iterator[FileRow]:
        """Every file, read from the store before the first is given: whoever writes them into the
        catalogue must not keep its write lock while a store is read."""
        spool = _SpooledRows()
        with AipReader(self._package, self._repositories) as self._aip:
            for premis in documents:
                with self._open(premis) as stream:
                    rows = listed(iter_files(stream))
                    while batch := list(islice(rows, _BATCH)):
                        spool.add(batch)
        return spool.rewind()

    @contextmanager
    def _open(self, logical: str) -> Iterator[BinaryIO]:
        """A document whose digest is right, wherever it was found. Raises DamagedArchive."""
        entry = self._entries[logical]
        with scratch_folder(self._scratch) as folder:
            place = folder / "document"
            if self._aip.fetch(entry, place) is None:
                raise DamagedArchive(f"{logical} of {self._object_id} is damaged in every store")
            with place.open("rb") as stream:
                yield stream

    def _bag_info(self) -> dict[str, str]:
        """As we write it: one line a field."""
        with self._open("bag-info.txt") as stream:
            lines = stream.read().decode("utf-8").splitlines()
        return dict(line.split(": ", 1) for line in lines)

    def _retain_until(self, agreement: str) -> str:
        with self._open(agreement) as stream:
            return str(json.loads(stream.read())["retention"]["until"] or "")

    def _formats(self, documents: list[str]) -> tuple[tuple[FormatCount, ...], int, int]:
        names: dict[str, str] = {}
        mimes: dict[str, str] = defaultdict(str)
        totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        for premis in documents:
            with self._open(premis) as stream:
                for file in iter_files(stream):
                    puid = file.format.puid or "unknown"
                    names[puid] = min(names.get(puid, file.format.name), file.format.name)
                    mimes[puid] = max(mimes[puid], file.format.mime)
                    totals[puid][0] += 1
                    totals[puid][1] += file.size
                    totals[puid][2] += file.validity == "not-valid"
                    pages, seconds = pages_and_seconds(file.facts)
                    totals[puid][3] += pages
                    totals[puid][4] += seconds
        counts = (
            FormatCount(puid, names[puid], number, size, bad, mimes[puid], pages, seconds)
            for puid, (number, size, bad, pages, seconds) in totals.items()
        )
        ordered = tuple(sorted(counts, key=lambda count: (-count.files, count.puid)))
        return ordered, sum(c.files for c in ordered), sum(c.bytes for c in ordered)

    def _events(self, premis: str) -> list[EventRow]:
        with self._open(premis) as stream:
            return [
                EventRow(e.id, e.type, e.time, e.outcome, e.detail, e.note) for e in iter_events(stream)
            ]
