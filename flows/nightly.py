"""The night as a Prefect flow: one run a night, its report an artifact; bad deliveries are results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel, ConfigDict, Field

from pipeline.context import Result
from pipeline.night import Delivery
from stele.nights import care_for_copies, night, tell
from stele.settings import load_settings
from stele.wiring import build_archive

_OUTCOMES = ("stored", "duplicate", "rejected", "held", "failed")


class NightRequest(BaseModel):
    """Which workspace's night, as the form in the Prefect UI shows it."""

    model_config = ConfigDict(frozen=True)

    home: Path = Field(description="The Stele workspace.")
    care: bool = Field(default=True, description="Also pay owed copies and audit what is due.")


@task(name="take in deliveries")
def take_in(request: NightRequest) -> dict[str, Any]:
    """Every whole delivery in the drop box; what happened to each is in the log."""
    log, settings = get_run_logger(), load_settings(request.home)
    archive = build_archive(settings)

    def watch(delivery: Delivery, result: Result | None) -> None:
        if result is not None:
            log.info("%s: %s %s", delivery.path, result.outcome, result.reason)

    try:
        return night(archive, settings, watch).as_json()
    finally:
        archive.catalogue.close()


@task(name="care for copies")
def care(request: NightRequest) -> dict[str, int]:
    """Owed copies and the audit of what is due."""
    settings = load_settings(request.home)
    archive = build_archive(settings)
    try:
        return care_for_copies(archive, settings)
    finally:
        archive.catalogue.close()


@flow(name="nightly")
async def nightly(request: NightRequest) -> dict[str, Any]:
    """Take in what agencies left, then look after the copies; the report is an artifact."""
    report = take_in(request)
    copies = care(request) if request.care else {}
    unsent = tell({**report, **copies}, load_settings(request.home))
    if unsent:
        get_run_logger().warning(unsent)
    await create_markdown_artifact(_as_markdown(report, copies), key="night", description="The night")  # type: ignore[misc]
    return {**report, **copies}


def _as_markdown(report: dict[str, Any], copies: dict[str, int]) -> str:
    lines = [
        f"# The night of {report['started']}",
        "",
        f"{report['files']:,} files, {report['bytes']:,} bytes taken in; {report['left']} deliveries left, "
        f"{report['arriving']} still arriving, {report['known']} dealt with before.",
        "",
        "| Agency | " + " | ".join(_OUTCOMES) + " |",
        "|---" * (len(_OUTCOMES) + 1) + "|",
    ]
    for agency, counts in sorted(report["agencies"].items()):
        cells = " | ".join(str(counts.get(name, "")) for name in _OUTCOMES)
        lines.append(f"| {agency.replace('|', '¦')} | {cells} |")
    said = ", ".join(f"{number} {what}" for what, number in copies.items() if number)
    lines += ["", f"Copies: {said or 'nothing was due'}"]
    return "\n".join(lines)
