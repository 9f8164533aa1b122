"""Building a DIP as a Prefect flow."""

from __future__ import annotations

import shutil
from typing import Any

from prefect import State, flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from flows.reports import dashboard_link, plain
from flows.requests import DipRequest
from flows.workspace import opened, shown_progress
from packages.identifiers import PackageId
from pipeline.access.dip import Disseminated
from pipeline.access.dip import disseminate as build
from pipeline.access.release import AccessClosed, Release
from pipeline.errors import UnknownPackage


def _worth_another_try(_task: object, _run: object, state: State[Any]) -> bool:
    """Trying again opens no closed records."""
    outcome = state.result(raise_on_failure=False)
    return not isinstance(outcome, (AccessClosed, UnknownPackage))


@task(
    name="build DIP", retries=2, retry_delay_seconds=10, cache_policy=NO_CACHE,
    retry_condition_fn=_worth_another_try,
)  # fmt: skip
def build_dip(request: DipRequest) -> tuple[Disseminated, str]:
    """Build one DIP in the workspace's folder for them; an earlier one of the same AIP gives way."""
    with opened() as (archive, settings):
        package, folder = PackageId.parse(request.aip.strip()), settings.place(settings.dips)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / f"dip-{package.uuid}", ignore_errors=True)
        watch = shown_progress(f"DIP of {package.urn}")
        made = build(
            package, archive, folder, access_copies=request.access_copies,
            release=Release(request.person, request.reason),
            progress=lambda size: watch("dip", size, 1),
        )  # fmt: skip
        return made, f"{dashboard_link(settings)}/aips/{package.uuid}"


@flow(name="build-dip", flow_run_name="DIP of {request.aip}")
async def disseminate(request: DipRequest) -> Any:
    """Build a package for the reading room: the content, its METS, its provenance, a page to open."""
    state = build_dip(request, return_state=True)
    outcome = await state.aresult(raise_on_failure=False)
    if isinstance(outcome, (AccessClosed, UnknownPackage)):
        return Failed(message=f"No DIP was built: {outcome}")
    if isinstance(outcome, BaseException):
        raise outcome
    made, page = outcome
    lines = [
        f"{made.files:,} files, {made.bytes:,} bytes in `{made.folder}`.",
        f"[Download it from the AIP's page]({page}).",
        *(f"- no access copy of {plain(line)}" for line in made.failed[:50]),
    ]
    await create_markdown_artifact("\n\n".join(lines), key="dip", description="The DIP")  # type: ignore[misc]
    return str(made.folder)
