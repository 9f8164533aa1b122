"""Our deployments: what the Prefect UI offers and the schedule runs. ``prefect.yaml`` says the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from prefect import Flow

from flows.decide import decide
from flows.disseminate import disseminate
from flows.ingest import ingest
from flows.nightly import nightly
from flows.upkeep import audit, upkeep
from stele.settings import ScheduleSettings, Settings
from stele.wiring import agreement_names

__all__ = ["POOL", "Deployment", "deployments"]

POOL = "archive"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of the UI. ``crons`` are (what it is called, when, with which request)."""

    name: str
    flow: Flow[..., Any]
    summary: str
    crons: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    most_at_once: int = 0
    """Runs at the same time; one too many is cancelled. 0: any number."""
    choices: dict[str, list[str]] = field(default_factory=dict)
    """Fields of the form for which this workspace knows all answers."""

    @property
    def description(self) -> str:
        """What the UI says, as Markdown."""
        when = "".join(f"\n- {name}: `{cron}`" for name, cron, _ in self.crons)
        scheduled = f"\n\nScheduled in stele.toml:{when}" if when else ""
        return f"{self.summary}{scheduled}"


def deployments(settings: Settings) -> tuple[Deployment, ...]:
    """All of them, as the workspace schedules them."""
    times: ScheduleSettings = settings.schedule
    return (
        Deployment(
            "nightly", nightly, "Takes in what is whole in the drop box, each delivery once, in fair "
            "order; then creates pending copies and audits what is due.",
            _nights(settings), most_at_once=settings.nightly.machines,
        ),
        Deployment(
            "ingest", ingest, "Takes in deliveries of the drop box now.",
            choices={"agreement": ["", *agreement_names(settings)]},
        ),
        Deployment(
            "build-dip", disseminate, "Builds a package for use; it is downloaded from the AIP's page.",
        ),
        Deployment(
            "decide", decide,
            "Decides about a submission in review, or as the second person about a removal. "
            "The dashboard's pages link here with the form filled in.",
        ),
        Deployment(
            "audit", audit, "Reads copies again, byte by byte.", _crons(("audit", times.audit, {})),
            most_at_once=1,
        ),
        Deployment(
            "upkeep", upkeep, "Creates pending copies; compares catalogue and stores; reports on formats.",
            _crons(
                ("replicate", times.replicate, {"task": "replicate"}),
                ("reconcile", times.reconcile, {"task": "reconcile"}),
                ("formats", times.formats, {"task": "format report"}),
            ),
        ),
    )  # fmt: skip


def _nights(settings: Settings) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """One run for each machine that shares the nightly run; the first looks after the copies too."""
    cron, machines = settings.schedule.nightly, settings.nightly.machines
    others = [(f"nightly-{number}", cron, {"care": False}) for number in range(2, machines + 1)]
    return _crons(("nightly", cron, {}), *others)


def _crons(*wanted: tuple[str, str, dict[str, Any]]) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    return tuple(one for one in wanted if one[1])
