"""What the judging process and the process that started it say to each other: lines of JSON.

JSON and not pickle: what comes back was made from the words of a stranger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from packages.identifiers import IngestId
from pipeline.context import Submission

__all__ = ["OUT_OF_MEMORY", "line", "read_line", "submission_from", "submission_to"]

OUT_OF_MEMORY = 3
"""The exit code of a process that could not even send a message any more."""


def line(message: Mapping[str, Any]) -> bytes:
    """One message. Names that are no UTF-8 travel as escapes."""
    return json.dumps(message).encode("ascii") + b"\n"


def read_line(data: bytes) -> dict[str, Any]:
    """One message back."""
    return dict(json.loads(data))


def submission_to(submission: Submission) -> dict[str, Any]:
    """What was understood of a package."""
    return {**asdict(submission), "ingest_id": str(submission.ingest_id), "package_id": None}


def submission_from(record: Mapping[str, Any]) -> Submission:
    """See ``submission_to``."""
    ingest_id = IngestId(str(record["ingest_id"]))
    fields = tuple((str(name), str(value)) for name, value in record["bag_info"])
    return Submission(
        **{**record, "ingest_id": ingest_id, "package_id": ingest_id.package_id(), "bag_info": fields}
    )
