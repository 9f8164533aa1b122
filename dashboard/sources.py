"""What the pages are made from; put together where the real things are chosen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from pipeline.agreement import Agreement
from pipeline.context import Clock, utc_now
from pipeline.formats.policy import FormatPolicy
from storage.catalogue import Catalogue

__all__ = ["Orchestration", "Sources", "Space", "StoreFacts"]


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a store's medium; None where nobody can say (an S3 bucket without a quota)."""

    total: int | None
    free: int | None


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """A store as it is configured. ``capacity`` is a quota in bytes, 0 where the medium is asked."""

    name: str
    kind: str
    place: str
    role: str
    audited: bool
    capacity: int
    space: Callable[[], Space]
    """The medium's room; asked only without a quota."""


@dataclass(frozen=True, slots=True)
class Orchestration:
    """Where the Prefect UI is, and the ids of our deployments in it. Empty without a server."""

    address: str = ""
    deployments: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Orchestration:
        """What the server's start has left in the workspace; nothing where there is none."""
        try:
            record = json.loads(path.read_text("utf-8"))
            return cls(str(record["address"]), dict(record["deployments"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def form(self, deployment: str, **request: str) -> str:
        """A link to a form that is filled in already; empty where there is none."""
        known = self.deployments.get(deployment)
        if not known or not self.address:
            return ""
        filled = urlencode(
            {"parameters": json.dumps({"request": request}, ensure_ascii=False)}, quote_via=quote
        )
        return f"{self.address}/v2/deployments/deployment/{known}/run?{filled}"

    def run(self, run: str) -> str:
        """A link to a run; empty where there is none."""
        return f"{self.address}/v2/runs/flow-run/{quote(run)}" if run and self.address else ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything a page may ask. ``agreement`` answers None for a name that is unknown or broken."""

    archive_name: str
    catalogue: Catalogue
    stores: tuple[StoreFacts, ...]
    policy: FormatPolicy
    agreement: Callable[[str], Agreement | None]
    dips: Path
    orchestration_file: Path
    ttl_days: int
    nightly_every_hours: float
    zone: ZoneInfo
    clock: Clock = utc_now

    @property
    def orchestration(self) -> Orchestration:
        """Asked anew each time: the server may have been started after us."""
        return Orchestration.read(self.orchestration_file)
