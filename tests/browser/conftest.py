"""A real browser, and where its pictures go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from requirements import unavailable


@pytest.fixture(scope="session")
def launch() -> Iterator[Any]:
    """Starts Debian's chromium without a screen, with switches: ``launch("--switch=…")``.

    One Playwright for all: a second in the same process cannot be started while the first lives.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        unavailable("no chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:

        def launched(*switches: str) -> Any:
            return started.chromium.launch(executable_path=program, args=["--no-sandbox", *switches])

        yield launched


@pytest.fixture(scope="session")
def browser(launch: Any) -> Iterator[Any]:
    """A browser as a person has it."""
    made = launch()
    yield made
    made.close()


@pytest.fixture
def shots() -> Path | None:
    """Where pictures of the pages go, when somebody wants to look at them."""
    folder = os.environ.get("STELE_SHOTS")
    if not folder:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)
