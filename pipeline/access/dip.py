"""A DIP: the content as the agency named it, its METS, its provenance, a page to open offline."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from packages import paths
from packages.aip.layout import (
    DUBLIN_CORE,
    METS,
    PREMIS,
    SUBMITTED_REPRESENTATION,
    AipLayout,
    content_folder,
    representation_folder,
)
from packages.identifiers import PackageId
from packages.mets.csip_reader import file_dates
from packages.mets.csip_writer import (
    MetsHeader,
    PackageType,
    Reference,
    pad_to_chunks,
    representation_header,
    representation_mets,
    root_mets,
)
from packages.package_file import MetadataFile, PackageFile, timestamp
from packages.premis import Representation, representation_premis
from packages.premis.reader import iter_files
from packages.xml_text import attribute, encoded, text
from pipeline.access.access_copies import REPRESENTATION, AccessCopies, make_access_copies
from pipeline.access.export import written_folder
from pipeline.access.release import AccessClosed, Release, require_release
from pipeline.archive import Archive
from pipeline.errors import PipelineError
from pipeline.holdings.aip_reader import AipReader
from schemas.xsd import PACKAGE_SCHEMAS
from storage.copying import write_hashed
from storage.scratch import scratch_folder

__all__ = ["AccessClosed", "DamagedAip", "Disseminated", "Release", "disseminate"]

_REP_FOLDER = representation_folder(SUBMITTED_REPRESENTATION)
_CONTENT = content_folder(SUBMITTED_REPRESENTATION)


class DamagedAip(PipelineError):
    """A file of the AIP is not what its inventory says; no DIP is made from damage."""


@dataclass(frozen=True, slots=True)
class Disseminated:
    """A finished DIP. ``files`` and ``bytes`` count its content, access copies included.

    ``failed`` names files of which an access copy was wanted and could not be made.
    """

    dip: str
    folder: Path
    files: int
    bytes: int
    failed: tuple[str, ...] = ()


def disseminate(
    package: PackageId,
    archive: Archive,
    target: Path,
    *,
    access_copies: bool = False,
    release: Release | None = None,
    progress: Callable[[int], None] | None = None,
) -> Disseminated:
    """Build a DIP of the AIP's newest version below ``target``, on demand with copies to read.

    Every byte is compared with the AIP's digest on the way. Names that the AIP had to change are
    given back as the agency sent them. Closed records leave only when somebody answers for it
    (``release``), which is recorded. Raises UnknownPackage, ExportRefused, DamagedAip, AccessClosed.
    """
    dip = PackageId(uuid.uuid5(package.uuid, f"dip {timestamp(archive.clock())}"))
    final = target / f"dip-{package.uuid}"
    with ExitStack() as stack:
        reader = stack.enter_context(AipReader(package, archive.repositories))
        require_release(reader, archive, release, "DIP")
        folder = stack.enter_context(written_folder(final))
        builder = _Builder(reader, folder, archive)
        files = builder.content(progress)
        copies = builder.access(files) if access_copies else AccessCopies()
        builder.metadata(dip, files, copies)
    every = [*files, *copies.files.values()]
    return Disseminated(dip.urn, final, len(every), sum(file.size for file in every), tuple(copies.failed))


class _Builder:
    def __init__(self, reader: AipReader, folder: Path, archive: Archive) -> None:
        self._reader = reader
        self._package = reader.package
        self._folder = folder
        self._archive = archive
        self._root = AipLayout(self._package).root

    def _fetch(self, logical: str, target: str) -> int:
        size = self._reader.fetch(self._reader.entry(logical), self._folder / target)
        if size is None:
            raise DamagedAip(f"{logical} of {self._package.urn} is damaged; run “stele store verify”")
        return size

    def content(self, progress: Callable[[int], None] | None) -> list[PackageFile]:
        """Copy the content and describe it; the list is ordered by path."""
        prefix = f"{self._root}/{_CONTENT}/"
        premis = f"{_REP_FOLDER}/{PREMIS}"
        self._adopt(premis)
        with (self._folder / premis).open("rb") as stream:
            described = {file.id: file for file in iter_files(stream)}
        dates = self._dates()
        given: set[str] = set()
        files = []
        for entry in self._reader.inventory.below(prefix):
            logical, name = entry.logical, entry.logical.removeprefix(prefix)
            identifier = self._package.child("file", name)
            known = described[identifier]
            path = known.original.removeprefix("data/")
            if path in given or paths.escape_reason(path) or paths.rename_reason(path.replace("%", "")):
                path = name  # the name in the AIP is always possible and always free
            given.add(path)
            size = self._fetch(logical, f"{_CONTENT}/{path}")
            made = dates[f"data/{name}"]
            os.utime(self._folder / _CONTENT / path, (made.timestamp(), made.timestamp()))
            files.append(
                PackageFile(
                    identifier,
                    path,
                    known.original,
                    size,
                    known.sha512,
                    made,
                    known.format,
                )
            )
            if progress:
                progress(size)
        return sorted(files, key=lambda file: file.path)

    def _dates(self) -> dict[str, datetime]:
        """When each record was made, as the AIP has it: a DIP does not make them younger."""
        place = f"{_REP_FOLDER}/{METS}"
        self._fetch(f"{self._root}/{place}", place)  # ours replaces it in the end
        with (self._folder / place).open("rb") as stream:
            return {path: datetime.fromisoformat(created) for path, created in file_dates(stream)}

    def access(self, files: list[PackageFile]) -> AccessCopies:
        """Copies in formats for readers, as the policy wants them."""
        with scratch_folder(self._archive.work) as scratch:
            return make_access_copies(self._archive, self._package, files, self._folder, scratch)

    def metadata(self, dip: PackageId, files: list[PackageFile], copies: AccessCopies) -> None:
        """METS of representations and package, provenance from the AIP, and the page."""
        header = MetsHeader(
            dip.objid, self._title(), PackageType.DIP, self._archive.clock(),
            self._archive.software.name, self._archive.software.version,
        )  # fmt: skip
        rep = _REP_FOLDER
        premis = self._adopted(f"{rep}/{PREMIS}")
        rep_mets = self._write(
            f"{rep}/{METS}",
            pad_to_chunks(
                representation_mets(
                    header=representation_header(header, SUBMITTED_REPRESENTATION),
                    premis=Reference("dp-premis", premis.below(rep), "PREMIS", "3.0"),
                    files=files,
                )
            ),
        )
        provenance = self._adopt(PREMIS)
        dublin = self._adopt(DUBLIN_CORE)
        representations = [rep_mets, *self._describe_access(header, copies)]
        page = self._write("index.html", _page(header.label, self._package, files, copies), "text/html")
        schemas = [
            self._write(f"schemas/{name}", iter([source.read_bytes()]))
            for name, source in PACKAGE_SCHEMAS.items()
        ]
        self._write(
            METS,
            pad_to_chunks(
                root_mets(
                    header=header,
                    descriptive=(Reference("dmd-1", dublin, "DC"),),
                    preservation=(Reference("dp-premis", provenance, "PREMIS", "3.0"),),
                    documentation=(page,),
                    schemas=schemas,
                    representations=tuple(representations),
                )
            ),
        )

    def _describe_access(self, header: MetsHeader, copies: AccessCopies) -> Iterator[MetadataFile]:
        if not copies.files:
            return
        folder, name = representation_folder(REPRESENTATION), REPRESENTATION
        files = sorted(copies.files.values(), key=lambda file: file.path)
        premis = self._write(
            f"{folder}/{PREMIS}",
            encoded(
                representation_premis(
                    representation=Representation(self._package.child("representation", name), name),
                    entity=self._package.child("entity"),
                    files=iter(files),
                    events=tuple(copies.events),
                    agents=tuple(copies.agents.values()),
                )
            ),
        )
        yield self._write(
            f"{folder}/{METS}",
            pad_to_chunks(
                representation_mets(
                    header=representation_header(header, name),
                    premis=Reference("dp-premis", premis.below(folder), "PREMIS", "3.0"),
                    files=files,
                )
            ),
        )

    def _title(self) -> str:
        row = self._archive.catalogue.aips.get(self._package.urn)
        return row.title if row else self._package.urn

    def _adopt(self, path: str) -> MetadataFile:
        """Take a metadata file of the AIP over as it is."""
        self._fetch(f"{self._root}/{path}", path)
        return self._adopted(path)

    def _adopted(self, path: str) -> MetadataFile:
        size = (self._folder / path).stat().st_size
        digest = self._reader.entry(f"{self._root}/{path}").sha512
        return MetadataFile(path, size, digest, "application/xml")

    def _write(self, path: str, chunks: Iterable[bytes], mime: str = "application/xml") -> MetadataFile:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as sink:
            size, sha512 = write_hashed(sink, chunks)
        return MetadataFile(path, size, sha512, mime)


_STYLE = """
:root{--ink:#1a1d21;--paper:#fff;--line:#d5d9de;--soft:#5b6470;--link:#0b5cad}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--paper:#16181b;--line:#3a3f46;--soft:#a3abb5;--link:#7ab7ff}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:70rem;
margin:2rem auto;padding:0 1rem}a{color:var(--link)}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid var(--line);vertical-align:top;
overflow-wrap:anywhere}td.n{text-align:right;white-space:nowrap}p,.s{color:var(--soft)}code{font-size:.8em}
"""


def _page(
    title: str, package: PackageId, files: list[PackageFile], copies: AccessCopies
) -> Iterator[bytes]:
    """A page without script or network: every file, what it is, and how to check it."""
    total = sum(file.size for file in files)
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>{text(title)}</h1>\n<p>{len(files):,} files, {total:,} bytes. A copy for use of the "
        f"archival package <code>{package.urn}</code>; the archive keeps the original.</p>\n"
        "<table><thead><tr><th>File</th><th>Format</th><th>Bytes</th><th>SHA-512</th></tr></thead>"
        "<tbody>\n"
    ).encode()
    for file in files:
        link = attribute(quote(f"{_CONTENT}/{file.path}"))
        kind = f"{file.format.name} {file.format.version}".strip()
        copy = copies.files.get(file.path)
        to_read = ""
        if copy is not None:
            place = attribute(quote(f"{content_folder(REPRESENTATION)}/{copy.path}"))
            to_read = f' <span class="s">to read: <a href="{place}">{text(copy.format.name)}</a></span>'
        yield (
            f'<tr><th scope="row"><a href="{link}">{text(file.path)}</a>{to_read}</th>'
            f'<td>{text(kind)} <span class="s">{text(file.format.puid or "")}</span></td>'
            f'<td class="n">{file.size:,}</td><td><code>{file.sha512[:16]}…</code></td></tr>\n'
        ).encode()
    yield (
        "</tbody></table>\n<p>The full checksums are in "
        f'<a href="{_REP_FOLDER}/METS.xml">METS.xml</a>; what happened to the records is in '
        f'<a href="{PREMIS}">premis.xml</a>.</p>\n</body></html>\n'
    ).encode()
