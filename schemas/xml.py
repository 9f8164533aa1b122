"""XML from strangers: parsed without entities, without network, without file access."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

from lxml import etree

_NO_MEMORY = 2  # XML_ERR_NO_MEMORY
_RESOURCE_LIMIT = 114  # XML_ERR_RESOURCE_LIMIT
# Of comments, CDATA and others it is said like this.
_TOO_LARGE = re.compile(r"too big found|[Nn]ame too long")
_ENTITY = re.compile(rb"<!ENTITY\s+(%\s+)?([^\s>]+)")


class XmlRefused(ValueError):
    """The document is not well-formed, or declares entities. ``code`` is our problem code."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ParsedXml:
    """A document's root, and the external DTD it names (never fetched), if any."""

    root: etree._Element
    external_dtd: str | None


def require_memory(error: etree.XMLSyntaxError) -> None:
    """libxml2 calls it an error of the document when it gets no memory: that is no fault of the document.

    Called first wherever such an error becomes a finding. Raises MemoryError.
    """
    if getattr(error, "code", 0) == _NO_MEMORY:
        raise MemoryError("the XML parser got no memory") from error


def is_of_the_reader(error: etree.XMLSyntaxError) -> bool:
    """Whether libxml2 stopped at a limit of its own (a text of 10 MB, a depth of 256), which well-formed
    documents may exceed."""
    return getattr(error, "code", 0) == _RESOURCE_LIMIT or bool(_TOO_LARGE.search(str(error)))


def has_doctype(source: str | BinaryIO) -> bool | None:
    """Whether a document has a DOCTYPE, in whatever encoding; None where its root is not reached.

    Raises MemoryError.
    """
    events = etree.iterparse(
        source, events=("start",), resolve_entities=False, no_network=True, load_dtd=False
    )
    try:
        for _, root in events:
            information: Any = root.getroottree().docinfo
            return information.internalDTD is not None
    except etree.XMLSyntaxError as error:
        require_memory(error)
    return None


def safe_parser(*, huge: bool = False) -> etree.XMLParser:
    """A parser that resolves nothing and fetches nothing.

    ``huge`` lifts libxml2's own limits, and with them its guard against entities that grow: only for
    documents without a DOCTYPE.
    """
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
        huge_tree=huge, remove_pis=False,
    )  # fmt: skip


def parse(content: bytes) -> ParsedXml:
    """Parse a metadata document. Raises XmlRefused.

    Entity declarations are refused whole: metadata needs none, and every XML attack does.
    """
    try:
        tree = _tree(content)
    except etree.XMLSyntaxError as error:
        require_memory(error)
        declared = _ENTITY.search(content)
        if declared:
            raise XmlRefused("XML-ENTITY", _entity_name(declared)) from error
        raise XmlRefused("XML-NOT-WELL-FORMED", str(error)) from error
    document: Any = tree.docinfo
    if document.internalDTD is not None:
        names = [entity.name for entity in document.internalDTD.iterentities()]
        if names:
            raise XmlRefused("XML-ENTITY", ", ".join(str(name) for name in names[:5]))
    return ParsedXml(tree.getroot(), document.system_url)


def _tree(content: bytes) -> etree._ElementTree:
    try:
        return etree.fromstring(content, safe_parser()).getroottree()
    except etree.XMLSyntaxError as error:
        if not is_of_the_reader(error) or has_doctype(io.BytesIO(content)) is not False:
            raise
    return etree.fromstring(content, safe_parser(huge=True)).getroottree()


def _entity_name(match: re.Match[bytes]) -> str:
    return match.group(2).decode("utf-8", "replace")
