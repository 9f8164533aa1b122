"""The tag files that make the AIP a BagIt 1.0 bag."""

from __future__ import annotations

from collections.abc import Iterator

from packages.aip.layout import AipLayout
from packages.bag.writer import DECLARATION, bag_info_lines, manifest_line
from packages.worklist import Worklist
from packages.xml_text import encoded
from pipeline.aip_writing.metadata_writer import MetadataWriter
from pipeline.context import IngestContext, Submission

PROFILE = "https://stele.invalid/profiles/aip-bag-v1.json"


def write_bag_files(
    writer: MetadataWriter,
    submission: Submission,
    context: IngestContext,
    worklist: Worklist,
    representation: str,
) -> None:
    """bagit.txt, bag-info.txt, the manifest and the tag manifest."""
    payload = list(writer.stored_files())
    files, size = worklist.totals()
    total = (files + len(payload), size + sum(file.size for file in payload))
    folder = AipLayout(submission.package_id).content(representation)

    def manifest() -> Iterator[str]:
        for file in worklist.package_files():
            yield manifest_line(file.sha512, f"{folder}/{file.path}")
        for stored in payload:
            yield manifest_line(stored.sha512, stored.logical)

    tags = [
        writer.write("bagit.txt", iter([DECLARATION.encode()]), mime="text/plain", bag=True),
        writer.write(
            "bag-info.txt",
            encoded(bag_info_lines(_bag_info(submission, context, total))),
            mime="text/plain",
            bag=True,
        ),
        writer.write("manifest-sha512.txt", encoded(manifest()), mime="text/plain", bag=True),
    ]
    lines = (manifest_line(tag.sha512, tag.path) for tag in sorted(tags, key=lambda tag: tag.path))
    writer.write("tagmanifest-sha512.txt", encoded(lines), mime="text/plain", bag=True)


def _bag_info(submission: Submission, context: IngestContext, total: tuple[int, int]) -> dict[str, str]:
    return {
        "BagIt-Profile-Identifier": PROFILE,
        "Source-Organization": context.agreement.agency.name,
        "External-Identifier": submission.package_id.urn,
        "External-Description": submission.title,
        "Internal-Sender-Identifier": submission.external_identifier,
        "Bagging-Date": context.clock().date().isoformat(),
        "Bag-Software-Agent": f"{context.software.name} {context.software.version}",
        "E-ARK-Package-Type": "AIP",
        "E-ARK-Specification-Version": "2.2.0",
        "Payload-Oxum": f"{total[1]}.{total[0]}",
        # What the catalogue must know and nothing else in the package says.
        "Stele-Agreement": context.agreement.name,
        "Stele-Content-SHA-512": submission.content_digest,
    }
