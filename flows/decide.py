"""Decisions about submissions in review and removals, as a form of the Prefect UI."""

from __future__ import annotations

from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from flows.reports import dashboard_link, plain, results_markdown
from flows.requests import DecisionRequest
from flows.workspace import opened, shown_progress
from pipeline.errors import UnknownPackage
from pipeline.preservation.removal import RemovalRefused
from pipeline.review.decisions import DecisionRefused
from stele.review import decide_and_carry_out


@task(name="decide and carry out", cache_policy=NO_CACHE)
def decided(request: DecisionRequest) -> tuple[dict[str, Any], str]:
    """Record what the person said, and what follows from it."""
    with opened() as (archive, settings):
        done = decide_and_carry_out(
            archive, settings, request.number.strip(), request.decision, person=request.person,
            reason=request.reason, progress=shown_progress("ingest"),
        )  # fmt: skip
        return done.as_json(), dashboard_link(settings)


@flow(name="decide", flow_run_name="{request.decision.value}: {request.person}")
async def decide(request: DecisionRequest) -> Any:
    """Accept or reject what waits, or keep it in review; name and reason are kept with the records."""
    state = decided(request, return_state=True)
    outcome = await state.aresult(raise_on_failure=False)
    if isinstance(outcome, (DecisionRefused, RemovalRefused, UnknownPackage)):
        get_run_logger().error("nothing was decided: %s", outcome)
        return Failed(message=f"Nothing was decided: {outcome}.")
    if isinstance(outcome, BaseException):
        raise outcome
    done, link = outcome
    lines = [f"**{done['decision']}** by {plain(request.person)}: {plain(done['detail'])}."]
    if done["result"]:
        lines += ["", results_markdown([done["result"]])]
    lines += ["", f"[What else waits]({link}/submissions?outcome=in-review)"]
    await create_markdown_artifact("\n".join(lines), key="decision", description="The decision")  # type: ignore[misc]
    return done
