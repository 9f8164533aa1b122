"""Ingest as a Prefect flow: one task a submission; content problems are results, not failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.reports import results_markdown
from flows.requests import IngestRequest
from flows.workspace import OutsideDropBox, below_drop_box, opened, shown_progress
from packages.escaping import for_log
from pipeline.errors import PipelineError
from stele.intake import agreements, ingest_now
from stele.wiring import choose_agreement
from storage.states import Outcome


class NoSuchDelivery(PipelineError):
    """A delivery is named that is not in the drop box."""


class IngestFailed(PipelineError):
    """Our side failed; worth another try."""


@task(
    name="ingest one submission", task_run_name="{delivery}", retries=2, retry_delay_seconds=10,
    cache_policy=NO_CACHE,
)  # fmt: skip
def ingest_one(delivery: str, agreement: str) -> dict[str, Any]:
    """One submission through all stages. Raises IngestFailed only for what retrying can cure."""
    with opened() as (archive, settings):
        path = below_drop_box(delivery, settings)
        if agreement:
            agreed = choose_agreement(settings, agreement)
        else:
            agreed = agreements(settings)(agency_of(delivery))
        result = ingest_now(archive, settings, path, agreed, shown_progress(delivery))
    if result.outcome is Outcome.FAILED:
        raise IngestFailed(result.reason)
    return result.as_json()


def agency_of(delivery: str) -> str:
    """The agency's folder; nothing for a delivery that lies in the drop box itself."""
    parts = Path(delivery).parts
    return parts[0] if len(parts) > 1 else ""


@flow(name="ingest", flow_run_name="ingest {request.deliveries[0]}")
async def ingest(request: IngestRequest) -> list[dict[str, Any]]:
    """Take in deliveries that lie in the drop box, one after the other; a failed one stops no other.

    Each ends as stored, duplicate, rejected, in review or failed; the report is an artifact of the run.
    """
    # Asynchronous on purpose: a synchronous flow costs a second for its heartbeat thread.
    logger, results = get_run_logger(), []
    with opened() as (_, settings):
        for delivery in request.deliveries:
            # A wrong one is said before anything is begun: it is no failure of ours to be tried again.
            if not below_drop_box(delivery, settings).exists():
                raise NoSuchDelivery(f"there is no “{delivery}” in the drop box; nothing was taken in")
    for delivery in request.deliveries:
        state = ingest_one(delivery, request.agreement, return_state=True)
        outcome = await state.aresult(raise_on_failure=False)
        if isinstance(outcome, OutsideDropBox):
            raise outcome
        if isinstance(outcome, BaseException):
            logger.error("%s failed: %s", for_log(delivery), for_log(outcome))
            outcome = {"subject": delivery, "outcome": Outcome.FAILED, "reason": str(outcome)}
        said = outcome.get("aip") or outcome["reason"]
        logger.info("%s: %s %s", for_log(delivery), outcome["outcome"], for_log(said))
        results.append(outcome)
    text = results_markdown(results)
    await create_markdown_artifact(text, key="ingest", description="What became of each")  # type: ignore[misc]
    return results
