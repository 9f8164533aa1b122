"""Building a DIP as a Prefect flow."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from pydantic import BaseModel, ConfigDict, Field

from packages.identifiers import PackageId
from pipeline.disseminate import disseminate as build
from stele.settings import load_settings
from stele.wiring import build_archive


class DipRequest(BaseModel):
    """Which AIP, and where the DIP goes, as the form in the Prefect UI shows it."""

    model_config = ConfigDict(frozen=True)

    home: Path = Field(description="The Stele workspace.")
    aip: str = Field(description="urn:uuid:…, uuid-… or the bare UUID.")
    folder: Path = Field(description="The DIP is written below this folder.")


@task(name="build DIP", retries=2, retry_delay_seconds=10)
def build_dip(request: DipRequest) -> str:
    """Build one DIP and answer with its folder."""
    archive = build_archive(load_settings(request.home))
    try:
        made = build(PackageId.parse(request.aip), archive, request.folder)
    finally:
        archive.catalogue.close()
    return str(made.folder)


@flow(name="disseminate")
async def disseminate(request: DipRequest) -> str:
    """Build a DIP for the reading room."""
    return build_dip(request)
