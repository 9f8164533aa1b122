"""A Dublin Core record from what the bag and the agreement say."""

from __future__ import annotations

from collections.abc import Iterator

from packages.package_file import timestamp
from packages.xml_text import DECLARATION, text
from pipeline.context import IngestContext, Submission

_DC = "http://purl.org/dc/elements/1.1/"
_FROM_BAG_INFO = {
    "External-Identifier": "identifier",
    "External-Description": "description",
    "Source-Organization": "creator",
    "Bag-Group-Identifier": "relation",
}


def dublin_core(submission: Submission, context: IngestContext) -> Iterator[str]:
    """The record as text; order is fixed."""
    yield DECLARATION
    yield f'<record xmlns:dc="{_DC}">\n'
    yield _element("title", submission.title)
    yield _element("identifier", submission.package_id.urn)
    for label, value in submission.bag_info:
        element = _FROM_BAG_INFO.get(label)
        if element and value.strip():
            yield _element(element, " ".join(value.split()))
    yield _element("publisher", context.agreement.archive.name)
    yield _element("contributor", context.agreement.agency.name)
    yield _element("date", timestamp(context.clock()))
    yield _element("rights", context.agreement.rights.note)
    yield "</record>\n"


def _element(name: str, value: str) -> str:
    return f"  <dc:{name}>{text(value)}</dc:{name}>\n"
