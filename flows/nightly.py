"""The nightly run as a Prefect flow: its report is an artifact, bad deliveries are results."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.reports import dashboard_link, nightly_markdown
from flows.requests import NightlyRequest
from flows.workspace import opened
from pipeline.context import Result
from pipeline.intake import Delivery
from stele.nightly import care_for_copies, night
from stele.nightly_report import send_report
from stele.review import waiting
from storage.scratch import sweep_scratch


@task(name="take in deliveries", cache_policy=NO_CACHE)
def take_in(request: NightlyRequest) -> dict[str, Any]:
    """Every complete delivery in the drop box; what happened to each is in the log."""
    log = get_run_logger()

    def watch(delivery: Delivery, result: Result | None) -> None:
        if result is not None:
            log.info("%s: %s %s", delivery.place, result.outcome, result.reason)

    with opened() as (archive, settings):
        sweep_scratch(archive.work)
        return night(archive, settings, watch, retry_in_review=request.retry_in_review).as_json()


@task(name="care for copies", cache_policy=NO_CACHE)
def care(request: NightlyRequest) -> dict[str, int]:
    """Pending copies and the audit of what is due."""
    with opened() as (archive, settings):
        return care_for_copies(archive, settings)


@task(name="report", cache_policy=NO_CACHE)
def report_of(report: dict[str, Any], copies: dict[str, int]) -> str:
    """The report as Markdown; it is also sent where the workspace says."""
    with opened() as (archive, settings):
        unsent = send_report({**report, **copies}, settings)
        if unsent:
            get_run_logger().warning(unsent)
        return nightly_markdown(report, copies, waiting(archive, settings), dashboard_link(settings))


@flow(name="nightly", flow_run_name="nightly")
async def nightly(request: NightlyRequest) -> dict[str, Any]:
    """Take in what agencies left in the drop box, then look after the copies; the report is an artifact.

    Safe to start at any time: every delivery is taken once.
    """
    report = take_in(request)
    copies = care(request) if request.care else {}
    text = report_of(report, copies)
    await create_markdown_artifact(text, key="nightly-run", description="The nightly run")  # type: ignore[misc]
    return {**report, **copies}
