"""The Archivematica dialect of METS, written and read through metsrw.

It stands beside the E-ARK METS in packages up to a configured size, so that tools of that family
can read us. metsrw cannot read E-ARK METS itself (it insists on structMap TYPE="physical").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

import metsrw
from lxml import etree

from packages.identifiers import PackageId
from packages.package_file import MetadataFile, PackageFile
from packages.paths import href
from packages.premis.records import Agent, Event, RightsStatement
from packages.premis.writer import (
    NAMESPACE,
    agent_element,
    event_element,
    file_object,
    rights_element,
)

_ROOT = f' xmlns:premis="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_METS = "{http://www.loc.gov/METS/}"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What stands behind every file of the package."""

    events: tuple[Event, ...]
    agents: tuple[Agent, ...]
    rights: tuple[RightsStatement, ...]


def write(
    *,
    objid: str,
    created: datetime,
    content: Iterable[tuple[str, str, Iterable[PackageFile]]],
    metadata: Iterable[MetadataFile],
    provenance: Provenance,
) -> bytes:
    """The METS document as bytes; ``content`` is (folder of the files, representation's id, files)."""
    children = [
        _content_entry(file, folder, representation, provenance)
        for folder, representation, files in content
        for file in files
    ]
    children += [_metadata_entry(file, objid) for file in metadata]
    document = metsrw.METSDocument()
    document.objid = objid
    # Without zone on purpose: metsrw compares this string with the local clock's.
    document.createdate = created.strftime("%Y-%m-%dT%H:%M:%S")
    document.append_file(_folder(objid, [(str(entry.path).split("/"), entry) for entry in children]))
    tree = document.serialize(fully_qualified=True)
    _repair(tree)
    return bytes(etree.tostring(tree, xml_declaration=True, encoding="UTF-8"))


def _folder(label: str, entries: list[tuple[list[str], Any]]) -> Any:
    """A Directory div a folder: metsrw loses files of equal names within one folder when reading."""
    folders: dict[str, list[tuple[list[str], Any]]] = {}
    children = []
    for steps, entry in entries:
        if len(steps) == 1:
            children.append(entry)
        else:
            folders.setdefault(steps[0], []).append((steps[1:], entry))
    children += [_folder(name, inside) for name, inside in sorted(folders.items())]
    return metsrw.FSEntry.dir(label=label, children=children)


def _content_entry(file: PackageFile, folder: str, representation: str, provenance: Provenance) -> Any:
    entry = metsrw.FSEntry(
        path=f"{folder}/{file.path}",
        label=file.path.rsplit("/", 1)[-1],
        use="original",
        type="Item",
        file_uuid=file.id,
        checksum=file.sha512,
        checksumtype="SHA-512",
    )
    entry.add_premis_object(_element(file_object(file, representation, root=_ROOT)))
    for statement in provenance.rights:
        entry.add_premis_rights(_element(rights_element(statement, root=_ROOT)))
    for event in provenance.events:
        entry.add_premis_event(_element(event_element(event, root=_ROOT)))
    for agent in provenance.agents:
        entry.add_premis_agent(_element(agent_element(agent, root=_ROOT)))
    return entry


def _metadata_entry(file: MetadataFile, objid: str) -> Any:
    return metsrw.FSEntry(
        path=file.path,
        label=file.path.rsplit("/", 1)[-1],
        use="metadata",
        type="Item",
        file_uuid=PackageId.parse(objid).child("archivematica", file.path),
        checksum=file.sha512,
        checksumtype="SHA-512",
    )


def _element(xml: str) -> Any:
    return etree.fromstring(xml)


def _repair(tree: Any) -> None:
    """Undo metsrw's encoding of a space as ``+``: a URL reader takes that for a plus sign."""
    for locator in tree.iter(f"{_METS}FLocat"):
        locator.set(_XLINK_HREF, href(unquote_plus(locator.get(_XLINK_HREF))))


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file as a foreign METS lists it; empty strings where it says nothing."""

    path: str
    use: str
    checksum: str
    checksum_type: str


class UnreadableMets(ValueError):
    """metsrw cannot make sense of the document."""


def read(content: bytes) -> tuple[ForeignFile, ...]:
    """The files of a METS in the Archivematica dialect. Raises UnreadableMets."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        document = metsrw.METSDocument.fromtree(etree.fromstring(content, parser).getroottree())
        return tuple(
            ForeignFile(e.path or "", e.use or "", e.checksum or "", e.checksumtype or "")
            for e in document.all_files()
            if e.type == "Item"
        )
    except Exception as error:  # metsrw stumbles with whatever it stumbled over, AttributeError included
        raise UnreadableMets(f"{type(error).__name__}: {error}".strip(": ")) from error
