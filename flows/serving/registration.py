"""Bringing our deployments, work pool and automation into a Prefect server: again is harmless.

What operators change in the UI (a paused schedule) stays until our own registration changes.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.automations import Automation
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    StateType,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.states import Crashed
from prefect.types.entrypoint import EntrypointType
from prefect.workers.process import ProcessWorker

from flows.deployments import POOL, Deployment, deployments
from flows.workspace import RUNS
from stele.dashboard_server import ORCHESTRATION
from stele.settings import Settings
from storage.catalogue import seen_dead

__all__ = ["crash_orphaned_runs", "register"]

_ZOMBIES = "stele: runs whose process is gone"
_UNFINISHED = (StateType.RUNNING, StateType.PENDING, StateType.CANCELLING)


async def register(settings: Settings, address: str) -> dict[str, str]:
    """The ids of our deployments by name, also left in the workspace for the dashboard.

    ``address`` is where people reach the UI.
    """
    wanted = deployments(settings)
    place = settings.home / ORCHESTRATION
    mark = _mark(settings, wanted)
    async with get_client() as client:
        await _pool(client)
        known = await _known(client, place, mark)
        if known is None:
            known = {one.name: await _apply(one, settings) for one in wanted}
            await _zombie_automation()
    record = {"address": address, "mark": mark, "deployments": known}
    part = place.with_name(f"{place.name}.part")
    part.write_text(json.dumps(record, indent=1), "utf-8")
    part.replace(place)
    return known


def _mark(settings: Settings, wanted: tuple[Deployment, ...]) -> str:
    facts = [
        (one.name, one.description, one.crons, one.choices, one.flow.name, one.most_at_once)
        for one in wanted
    ]
    text = json.dumps([facts, settings.time_zone], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


async def _known(client: PrefectClient, place: Path, mark: str) -> dict[str, str] | None:
    """What was registered before, if the server still has it and it is still what we want."""
    try:
        record = json.loads(place.read_text("utf-8"))
        if record["mark"] != mark:
            return None
        for number in record["deployments"].values():
            await client.read_deployment(number)
        return dict(record["deployments"])
    except (OSError, ValueError, KeyError, ObjectNotFound):
        return None


async def _pool(client: PrefectClient) -> None:
    template = ProcessWorker.get_default_base_job_template()
    try:
        await client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
    except ObjectAlreadyExists:
        return


async def _apply(one: Deployment, settings: Settings) -> str:
    schedules = [
        DeploymentScheduleCreate(
            schedule=CronSchedule(cron=cron, timezone=settings.time_zone), active=True, slug=slug,
            parameters={"request": request},
        )
        for slug, cron, request in one.crons
    ]  # fmt: skip
    limit = ConcurrencyLimitConfig(
        limit=max(one.most_at_once, 1), collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
    )
    made: Any = await one.flow.ato_deployment(
        one.name, work_pool_name=POOL, entrypoint_type=EntrypointType.MODULE_PATH, schedules=schedules,
        parameters={"request": {}} if one.crons else {}, tags=["stele"],
        description=one.description, concurrency_limit=limit if one.most_at_once else None,
    )  # fmt: skip
    _offer_choices(made, one.choices)
    return str(await made.aapply())


def _offer_choices(made: Any, choices: dict[str, list[str]]) -> None:
    """Selections instead of free text where all answers are known."""
    schema = made._parameter_openapi_schema
    for model in (schema.definitions or {}).values():
        for name, answers in choices.items():
            if name in model.get("properties", {}):
                facts = {k: v for k, v in model["properties"][name].items() if k != "pattern"}
                model["properties"][name] = {**facts, "enum": answers}


async def _zombie_automation() -> None:
    """A run that sends no heartbeat any more is over, and its place is free."""
    for old in await _automations():
        await old.adelete()
    await Automation(
        name=_ZOMBIES,
        description="A run whose process died with its worker would stay “Running” for ever.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"}, expect={"prefect.flow-run.*"},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"}, posture=Posture.Proactive, threshold=1,
            within=timedelta(seconds=120),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="missing heartbeats")],
    ).acreate()  # fmt: skip


async def _automations() -> list[Automation]:
    async with get_client() as client:
        found = await client.read_automations_by_name(_ZOMBIES)
    return [Automation.model_validate(one.model_dump()) for one in found]


async def crash_orphaned_runs(settings: Settings) -> int:
    """Set to Crashed the runs that this machine began and that no process of it works on any more.

    Without this a power failure leaves them “Running”, and the next nightly run is cancelled because
    the last one still seems to run. Runs of other machines are left to the automation, as are those
    that died before they began to work.
    """
    crashed = 0
    async with get_client() as client:
        for note in sorted((settings.home / RUNS).glob("*")):
            owner = note.read_text("utf-8", "replace")
            if owner and not _is_gone(owner):
                continue  # at work, or of another machine
            try:
                run = await client.read_flow_run(UUID(note.name))
                if run.state_type in _UNFINISHED:
                    state: Any = Crashed(message="Its process was gone when the server was started.")
                    await client.set_flow_run_state(run.id, state, force=True)
                    crashed += 1
            except (ObjectNotFound, ValueError):
                pass  # of a server that is gone, or no note of ours
            note.unlink(missing_ok=True)
    return crashed


def _is_gone(owner: str) -> bool:
    """Whether a note names a process of this machine that is gone, perhaps with an earlier boot."""
    return seen_dead(owner) or owner.rpartition(":")[0].rpartition(":")[0] == ""
