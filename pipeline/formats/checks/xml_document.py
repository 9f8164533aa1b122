"""XML: well-formed from end to end, read as a stream; METS also by its schema."""

from __future__ import annotations

import os

from lxml import etree

from pipeline.formats.tool import ValidationResult, Validity
from schemas.xml import has_doctype, is_of_the_reader, require_memory
from schemas.xsd import mets_schema

_TOOL = f"lxml {'.'.join(str(part) for part in etree.LXML_VERSION[:3])}"
_MAX_BY_SCHEMA_BYTES = 32 << 20  # the whole document is in memory then, some thirty times as large
_METS = "{http://www.loc.gov/METS/}mets"
_SCHEMAS = {_METS: ("METS 1.12", mets_schema)}


def check(path: str) -> ValidationResult:
    """WELL_FORMED, or VALID where it is of a schema that is here. Nothing is resolved or fetched."""
    try:
        return _judged(path, huge=False)
    except _ReaderLimit as limit:
        said = str(limit)
    try:
        if has_doctype(path) is False:  # whose entities could grow without the limits
            return _judged(path, huge=True)
    except _ReaderLimit as limit:
        said = str(limit)
    return ValidationResult(Validity.UNKNOWN, _TOOL, (f"not read to its end: {said}"[:300],))


class _ReaderLimit(Exception):
    """libxml2 stopped at a limit of its own: that says nothing of the document."""


def _judged(path: str, *, huge: bool) -> ValidationResult:
    root = ""
    whole = os.path.getsize(path) <= _MAX_BY_SCHEMA_BYTES  # noqa: PTH202  (a worker imports as little as it can)
    try:
        parser = etree.iterparse(
            path, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False,
            huge_tree=huge,
        )  # fmt: skip
        for event, element in parser:
            if not root:
                root = str(element.tag)
            if event == "end" and not (whole and root in _SCHEMAS):
                element.clear()
                parent = element.getparent()
                while parent is not None and element.getprevious() is not None:
                    del parent[0]
    except etree.XMLSyntaxError as error:
        require_memory(error)
        if is_of_the_reader(error):
            raise _ReaderLimit(str(error.msg)) from None
        return ValidationResult(Validity.NOT_VALID, _TOOL, (str(error.msg)[:300],))
    except OSError as error:
        return ValidationResult(Validity.NOT_VALID, _TOOL, (f"not readable as XML: {error}"[:300],))
    if not root:
        return ValidationResult(Validity.NOT_VALID, _TOOL, ("it holds no element",))
    if root in _SCHEMAS and not whole:
        said = f"larger than {_MAX_BY_SCHEMA_BYTES >> 20} MiB: not held against its schema"
        return ValidationResult(Validity.WELL_FORMED, _TOOL, (said,), {"root": root})
    if root in _SCHEMAS:
        return _by_schema(parser.root, *_SCHEMAS[root])
    return ValidationResult(Validity.WELL_FORMED, _TOOL, (), {"root": root})


def _by_schema(root: etree._Element, name: str, schema: object) -> ValidationResult:
    found = schema()  # type: ignore[operator]
    if found.validate(root):
        return ValidationResult(Validity.VALID, f"{_TOOL}, {name}", (), {"root": str(root.tag)})
    wrong = [one for one in found.error_log if not _allowed_by_lax(one)]
    if not wrong:
        said = ("what stands in its wrappers was not judged: it is of schemas that are not here",)
        return ValidationResult(Validity.VALID, f"{_TOOL}, {name}", said, {"root": str(root.tag)})
    messages = tuple(f"line {one.line}: {one.message}"[:300] for one in wrong[:20])
    return ValidationResult(Validity.NOT_VALID, f"{_TOOL}, {name}", messages, {"root": str(root.tag)})


def _allowed_by_lax(error: etree._LogEntry) -> bool:
    """Whether an error is none by METS, whose ``xmlData`` takes any element and has it assessed only where
    there is a declaration (XML Schema 1.0 Part 1 §3.10.1, lax): an ``xsi:type`` of a schema that is not
    here, on an element of another namespace, is what libxml2 stumbles over."""
    of_mets = f"Element '{_METS.removesuffix('mets')}" in error.message
    return error.type_name in ("SCHEMAV_CVC_ELT_4_2", "SCHEMAV_CVC_TYPE_1") and not of_mets
