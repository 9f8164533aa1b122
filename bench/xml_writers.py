"""The PREMIS of many files, by our stream of escaped text and by ``lxml.etree.xmlfile``, in one process.

    python bench/xml_writers.py --files 100000

Both write the same document to memory: their canonical forms are compared first. Seconds of CPU, the sides
in turn, and what the difference is of a whole ingest when its seconds are given with ``--ingest``.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import io
import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from lxml import etree

from packages.package_file import FileFormat, PackageFile
from packages.premis.records import (
    FixityFunction,
    RelationshipSubType,
    RelationshipType,
    Representation,
    Term,
)
from packages.premis.writer import NAMESPACE, representation_premis
from packages.xml_text import encoded

_REPRESENTATION = Representation(str(uuid.uuid5(uuid.NAMESPACE_URL, "rep1")), "rep1")
_ENTITY = str(uuid.uuid5(uuid.NAMESPACE_URL, "entity"))
_SPACES = {"premis": NAMESPACE, "xsi": "http://www.w3.org/2001/XMLSchema-instance"}
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"


def files(count: int) -> list[PackageFile]:
    """As an ingest has them."""
    fmt = FileFormat("fmt/95", "Acrobat PDF/A", "1b", "application/pdf", "byte match at 0, 8", "")
    return [
        PackageFile(
            str(uuid.uuid5(uuid.NAMESPACE_URL, str(number))), f"box {number % 97}/record {number}.pdf",
            f"box {number % 97}/record {number} & more.pdf", 4096,
            hashlib.sha512(b"%d" % number).hexdigest(), datetime(2026, 1, 1, tzinfo=UTC), fmt,
        )
        for number in range(count)
    ]  # fmt: skip


def by_text(content: list[PackageFile]) -> bytes:
    """What an ingest does."""
    out = io.BytesIO()
    parts = representation_premis(
        representation=_REPRESENTATION, entity=_ENTITY, files=content, events=(), agents=()
    )
    for chunk in encoded(parts):
        out.write(chunk)
    return out.getvalue()


def by_xmlfile(content: list[PackageFile]) -> bytes:
    """The same elements, each file's tree built and written."""
    out = io.BytesIO()
    with etree.xmlfile(out, encoding="UTF-8") as written:
        written.write_declaration()
        with written.element(f"{{{NAMESPACE}}}premis", nsmap=_SPACES, version="3.0"):
            for file in content:
                written.write(_file_tree(file))
            one = etree.Element(
                f"{{{NAMESPACE}}}object", {_XSI: "premis:representation", "version": "3.0"}, _SPACES
            )
            _identified(one, "objectIdentifier", _REPRESENTATION.id)
            _below(one, "originalName", _REPRESENTATION.name)
            _related(one, _ENTITY)
            written.write(one)
    return out.getvalue()


def _below(parent: etree._Element, name: str, value: str | None = None) -> etree._Element:
    made = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    made.text = value
    return made


def _term(parent: etree._Element, element: str, term: Term) -> None:
    made = _below(parent, element, term.label)
    for name, value in _attributes(term):
        made.set(name, value)


@functools.cache
def _attributes(term: Term) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(name), str(value)) for name, value in etree.fromstring(f"<a {term.attributes}/>").items()
    )


def _identified(parent: etree._Element, name: str, value: str) -> None:
    holder = _below(parent, name)
    _below(holder, f"{name}Type", "UUID")
    _below(holder, f"{name}Value", value)


def _related(parent: etree._Element, target: str) -> None:
    relation = _below(parent, "relationship")
    _term(relation, "relationshipType", RelationshipType.STRUCTURAL)
    _term(relation, "relationshipSubType", RelationshipSubType.IS_INCLUDED_IN)
    _identified(relation, "relatedObjectIdentifier", target)


def _file_tree(file: PackageFile) -> etree._Element:
    one = etree.Element(f"{{{NAMESPACE}}}object", {_XSI: "premis:file", "version": "3.0"}, _SPACES)
    _identified(one, "objectIdentifier", file.id)
    about = _below(one, "objectCharacteristics")
    _below(about, "compositionLevel", "0")
    fixity = _below(about, "fixity")
    _term(fixity, "messageDigestAlgorithm", FixityFunction.SHA512)
    _below(fixity, "messageDigest", file.sha512)
    _below(about, "size", str(file.size))
    known = _below(about, "format")
    designation = _below(known, "formatDesignation")
    _below(designation, "formatName", file.format.name)
    _below(designation, "formatVersion", file.format.version)
    registry = _below(known, "formatRegistry")
    _below(registry, "formatRegistryName", file.format.registry)
    _below(registry, "formatRegistryKey", file.format.puid)
    _below(registry, "formatRegistryRole", "specification")
    for note in (f"media type: {file.format.mime}", file.format.basis):
        _below(known, "formatNote", note)
    _below(one, "originalName", file.original)
    _related(one, _REPRESENTATION.id)
    return one


def main() -> None:
    """Compare, measure, print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--files", type=int, default=100_000)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument(
        "--ingest", type=float, metavar="SECONDS", help="what a whole ingest of as many takes"
    )
    chosen = options.parse_args()
    few = files(50)
    assert _canonical(by_text(few)) == _canonical(by_xmlfile(few)), "the two write different documents"
    content = files(chosen.files)
    sides: dict[Callable[[list[PackageFile]], bytes], list[float]] = {by_text: [], by_xmlfile: []}
    for _ in range(chosen.runs):
        for side, seconds in sides.items():
            began = time.process_time()
            side(content)
            seconds.append(time.process_time() - began)
    ours, theirs = (statistics.median(seconds) for seconds in sides.values())
    print(f"{chosen.files:,} files, medians of {chosen.runs}, CPU seconds")
    print(f"stream of text   {ours:6.2f}")
    print(f"lxml xmlfile     {theirs:6.2f}   {theirs / ours:.1f} times as long")
    if chosen.ingest:
        print(
            f"of an ingest of {chosen.ingest:.1f} s the difference is {(theirs - ours) / chosen.ingest:.1%}"
        )


def _canonical(document: bytes) -> bytes:
    tree = etree.fromstring(document, etree.XMLParser(remove_blank_text=True))
    return etree.tostring(tree, method="c14n")


if __name__ == "__main__":
    main()
