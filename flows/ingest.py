"""Ingest as a Prefect flow: one task a submission; content problems are results, not failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from pydantic import BaseModel, ConfigDict, Field

from pipeline.context import Outcome, Result
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement, ingest_function


class IngestRequest(BaseModel):
    """What to ingest, as the form in the Prefect UI shows it."""

    model_config = ConfigDict(frozen=True)

    home: Path = Field(description="The Stele workspace.")
    paths: tuple[Path, ...] = Field(min_length=1, description="Bags: folders, zip, tar, tar.gz.")
    agreement: str | None = Field(default=None, description="Agreement; empty = the default one.")


class IngestFailed(RuntimeError):
    """Our side failed; worth another try."""


@task(name="ingest one submission", task_run_name="{path}", retries=2, retry_delay_seconds=10)
def ingest_one(request: IngestRequest, path: Path) -> dict[str, Any]:
    """One submission through all stages. Raises IngestFailed only for what retrying can cure."""
    settings = load_settings(request.home)
    archive = build_archive(settings)
    try:
        agreed = choose_agreement(settings, request.agreement)
        result: Result = ingest_function(settings)(path, agreed, archive)
    finally:
        archive.catalogue.close()
    if result.outcome is Outcome.FAILED:
        raise IngestFailed(result.reason)
    return result.as_json()


@flow(name="ingest")
async def ingest(request: IngestRequest) -> list[dict[str, Any]]:
    """Ingest submissions one after the other; one that fails does not stop the rest."""
    # Asynchronous on purpose: a synchronous flow costs a second for its heartbeat thread.
    logger = get_run_logger()
    results = []
    for path in request.paths:
        state = ingest_one(request, path, return_state=True)
        outcome = await state.aresult(raise_on_failure=False)
        if isinstance(outcome, BaseException):
            logger.error("%s failed: %s", path, outcome)
            outcome = {"subject": str(path), "outcome": "failed", "reason": str(outcome)}
        results.append(outcome)
    return results
