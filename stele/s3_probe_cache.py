"""Results of probing S3 stores, kept in the workspace: ``probes/<store>.json``."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path

from stele.s3_settings import s3_settings
from stele.settings import S3StoreSettings
from storage.s3.probe.capabilities import Answer, Capabilities, CheckName, capabilities_from_json


def kept(store: S3StoreSettings, home: Path) -> Capabilities | None:
    """The kept result, None if there is none or it speaks of another server, bucket or prefix."""
    try:
        found = capabilities_from_json(_place(store, home).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    now = s3_settings(store)
    same = (found.endpoint, found.bucket, found.prefix) == (now.address, now.bucket, now.folder)
    return found if same else None


def found_or_probed(store: S3StoreSettings, home: Path) -> Capabilities:
    """The kept result, or that of a probe made now. Raises StoreUnavailable, StoreRefused."""
    return kept(store, home) or probe_store(store, home)


def probe_store(store: S3StoreSettings, home: Path) -> Capabilities:
    """Probe, and keep the result. Raises StoreUnavailable, StoreRefused."""
    from storage.s3.probe.run import probe

    found = probe(s3_settings(store), datetime.now(UTC), store.name)
    place = _place(store, home)
    place.parent.mkdir(exist_ok=True)
    beside = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    beside.write_text(json.dumps(found.as_json(), ensure_ascii=False, indent=1) + "\n", "utf-8")
    beside.replace(place)  # two runs may probe at once; either result is whole
    return found


def _place(store: S3StoreSettings, home: Path) -> Path:
    return home / "probes" / f"{store.name}.json"


def age_text(then: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that says something."""
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if count := seconds // size:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def summary(found: Capabilities) -> str:
    """One line: what is not done as it should be, or that all is."""
    missing = [check.name.value for check in found.checks if check.answer is Answer.NO]
    proof = "payload digests verified" if found.proven(CheckName.PAYLOAD) else "every write read back"
    return f"{proof}; not there: {', '.join(missing)}" if missing else proof
