"""A package's root METS read back into the records it was written from, to write the next version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from packages.mets.csip_writer import Reference
from packages.mets.rules.rule import NAMESPACES
from packages.package_file import MetadataFile
from packages.paths import from_href
from schemas.xml import parse

__all__ = ["RootMets", "read_root_mets"]

_HREF = "{http://www.w3.org/1999/xlink}href"


@dataclass(frozen=True, slots=True)
class RootMets:
    """What a root METS of ours refers to. ``representations`` are their METS files."""

    label: str
    created: datetime
    descriptive: tuple[Reference, ...]
    preservation: tuple[Reference, ...]
    documentation: tuple[MetadataFile, ...]
    schemas: tuple[MetadataFile, ...]
    representations: tuple[MetadataFile, ...]


def read_root_mets(content: bytes) -> RootMets:
    """Raises XmlRefused; KeyError, ValueError or IndexError for a METS that is not one of ours."""
    root = parse(content).root
    header = _all(root, "mets:metsHdr")[0]
    created = datetime.strptime(_attribute(header, "CREATEDATE"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return RootMets(
        label=_attribute(root, "LABEL"),
        created=created,
        descriptive=tuple(_reference(e) for e in _all(root, "mets:dmdSec")),
        preservation=tuple(_reference(e) for e in _all(root, "mets:amdSec/mets:digiprovMD")),
        documentation=_group(root, "@USE='Documentation'"),
        schemas=_group(root, "@USE='Schemas'"),
        representations=_group(root, "starts-with(@USE,'Representations/')"),
    )


def _all(root: etree._Element, path: str) -> list[etree._Element]:
    found = root.xpath(path, namespaces=NAMESPACES)
    assert isinstance(found, list)
    return [element for element in found if isinstance(element, etree._Element)]


def _group(root: etree._Element, condition: str) -> tuple[MetadataFile, ...]:
    files = _all(root, f"mets:fileSec/mets:fileGrp[{condition}]/mets:file")
    return tuple(_file(element, _all(element, "mets:FLocat")[0]) for element in files)


def _reference(section: etree._Element) -> Reference:
    (link,) = _all(section, "mets:mdRef")
    return Reference(
        id=_attribute(section, "ID"),
        file=_file(link, link),
        mdtype=_attribute(link, "MDTYPE"),
        mdtype_version=link.get("MDTYPEVERSION", ""),
        other=link.get("OTHERMDTYPE", ""),
    )


def _file(described: etree._Element, located: etree._Element) -> MetadataFile:
    return MetadataFile(
        path=from_href(_attribute(located, _HREF)),
        size=int(_attribute(described, "SIZE")),
        sha512=_attribute(described, "CHECKSUM"),
        mime=_attribute(described, "MIMETYPE"),
    )


def _attribute(element: etree._Element, name: str) -> str:
    return str(element.attrib[name])
