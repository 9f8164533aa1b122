"""Stage 2: is this a whole, valid bag, and is it what the agreement promised? Every finding at once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from packages.bag import read_bag
from packages.bag.bag_info import BagInfo
from packages.bag.writer import manifest_line
from packages.identifiers import IngestId
from packages.premis import EventOutcome, EventType
from pipeline.context import IngestContext, Submission
from pipeline.ingest.receive import ReceivedSip
from pipeline.ingest.verify import agreement, checksum_lists
from pipeline.stage_report import StageReport

__all__ = ["VerifiedSip", "verify"]


@dataclass(frozen=True, slots=True)
class VerifiedSip:
    """A submission judged; whether it is acceptable the reports of its stages say."""

    received: ReceivedSip
    submission: Submission


def verify(received: ReceivedSip, context: IngestContext) -> tuple[VerifiedSip, StageReport]:
    """Apply every rule, in reading order: declaration, tag files, manifests, payload, agreement."""
    report = context.report("verify")
    max_files = context.agreement.limits.max_files
    bag = read_bag(received.worklist, context.work, report.add, max_files=max_files)
    checksum_lists.check(received.worklist, context.work / "content", report.add)
    report.add(*agreement.check(bag, context.agreement, received.form))
    submission = _identify(received, bag.info, context)
    rejected = report.rejected
    report.event(
        EventType.VALIDATION,
        f"BagIt {bag.declaration.version} (RFC 8493) and agreement “{context.agreement.name}”",
        outcome=EventOutcome.FAILURE if rejected else EventOutcome.SUCCESS,
        note=f"{len(report.findings)} finding(s)",
    )
    report.event(
        EventType.FIXITY_CHECK,
        "digests of the payload compared with " + ", ".join(sorted(bag.listing.checked)),
        outcome=EventOutcome.FAILURE if rejected else EventOutcome.SUCCESS,
    )
    return VerifiedSip(received, submission), report


def _identify(received: ReceivedSip, info: BagInfo, context: IngestContext) -> Submission:
    hasher = hashlib.sha512()
    for path, sha512 in received.worklist.payload_digests():
        hasher.update(manifest_line(sha512, path).encode())
    external = info.first("External-Identifier")
    files, size = received.worklist.totals()
    ingest_id = IngestId.derive(
        agreement=context.agreement.name,
        external_identifier=external,
        content_digest=hasher.hexdigest(),
    )
    title = info.first("External-Description") or external or context.subject_name
    return Submission(
        ingest_id=ingest_id,
        package_id=ingest_id.package_id(),
        external_identifier=external,
        title=" ".join(title.split())[:500],
        content_digest=hasher.hexdigest(),
        bag_info=info.fields,
        files=files,
        bytes=size,
    )
