"""prefect.yaml says what flows/deployments.py says, and Prefect's own command takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from flows.deployments import POOL, deployments
from stele.settings import Settings

_FILE = Path(__file__).parent.parent.parent / "prefect.yaml"


def test_the_same_deployments(tmp_path: Path) -> None:
    """Names, entry points, schedules, limits."""
    written: dict[str, Any] = yaml.safe_load(_FILE.read_text("utf-8"))
    assert written["pull"] == []
    ours = deployments(Settings(home=tmp_path))
    assert [one["name"] for one in written["deployments"]] == [one.name for one in ours]
    for said, meant in zip(written["deployments"], ours, strict=True):
        function = meant.flow.fn
        assert said["entrypoint"] == f"{function.__module__}.{function.__name__}"
        assert said["work_pool"]["name"] == POOL
        schedules = [(s["slug"], s["cron"], s["parameters"]["request"]) for s in said.get("schedules", ())]
        assert schedules == [tuple(cron) for cron in meant.crons]
        assert said.get("concurrency_limit", {}).get("limit", 0) == meant.most_at_once
