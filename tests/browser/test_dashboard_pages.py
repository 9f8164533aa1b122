"""Every dashboard page, in both languages, both themes, wide and narrow: accessible, quiet, harmless."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bag_builder import bag_builder
from requirements import free_port, wait_for

from pipeline.ingest.run import ingest
from pipeline.preservation.removal import place_hold, request_removal
from stele.nightly import care_for_copies
from stele.settings import load_settings
from stele.wiring import build_archive, choose_agreement
from stele.workspace import make_workspace
from storage.catalogue import CopyRow, ProgressRow

_HOSTILE = (
    "<script>alert(1)</script>.txt", "\u202egnp.exe.txt", "𠮷野家" * 12 + ".txt", "x" * 240 + ".txt",
    "👩\u200d🚀 \"'&.txt", "a\tb.txt", "{{7*7}}.txt",
)  # fmt: skip
_TITLE = "<img src=x onerror=alert(1)> " + "会议𠮷" * 1300
_PATHS = (
    "/", "/holdings", "/stores", "/copies?store=archive&state=damaged", "/search", "/search?q=会议",
    "/search?q=x&from=no", "/aips/{aip}", "/aips/{aip}/files", "/agencies/%3Cscript%3E", "/submissions",
    "/submissions?outcome=in-review", "/submissions/{in_review}", "/submissions/{rejected}", "/removals", "/nightly-runs",
    "/nightly-runs/{night}", "/problems", "/patterns", "/sign-in", "/nothing-here",
)  # fmt: skip


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """A dashboard over an archive in which everything has happened; its address and all its pages."""
    home = tmp_path_factory.mktemp("pages") / "home"
    make_workspace(home)
    paths = _fill(home)
    port = free_port()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("stele"), "dashboard", "--home", home, "--port", str(port)],
            stdout=log, stderr=log,
        )  # fmt: skip
    wait_for(f"http://127.0.0.1:{port}/health", process)
    yield f"http://127.0.0.1:{port}", paths
    process.terminate()
    process.wait(10)
    assert "Traceback" not in (home / "log").read_text("utf-8")


def _fill(home: Path) -> list[str]:
    (home / "agreements/reviewed.toml").write_text('review = "<b>new</b>"\n[agency]\nname = "<script>"\n')
    (home / "agreements/script.toml").write_text('[agency]\nname = "<script>"\n')
    settings = load_settings(home)
    archive = build_archive(settings)
    build = bag_builder(home.parent)
    good = build(dict.fromkeys(_HOSTILE, b"text"), name="good", External_Description=_TITLE)
    result = ingest(good, choose_agreement(settings, "script"), archive)
    assert result.outcome == "stored", result
    aip = str(result.aip)
    other = ingest(build({"a.txt": b"1"}, name="other"), choose_agreement(settings, None), archive)
    reviewed = ingest(
        build({"a.txt": b"2"}, name="in-review"), choose_agreement(settings, "reviewed"), archive
    )
    bad = build({"a.txt": b"3"}, name="bad-<script>")
    (bad / "data/a.txt").write_bytes(b"changed")
    rejected = ingest(bad, choose_agreement(settings, "script"), archive)
    assert [reviewed.outcome, rejected.outcome] == ["in-review", "rejected"]
    catalogue = archive.catalogue
    catalogue.nightly_runs.begin("night-1", "2026-11-24T22:00:00Z")
    catalogue.nightly_runs.finish(
        "night-1", "2026-11-24T23:00:00Z",
        '{"outcomes": {"stored": 2, "in-review": 1}, "files": 9, "bytes": 90, "left": 1, "arriving": 0,'
        ' "agencies": {"<script>": {"stored": 2}}, "slowest": [["<script>", 2.5]], "problems": {"BAG-DIGEST": 3}}',
    )  # fmt: skip
    place_hold(archive, aip, reason="case <12/26>", person="<i>A</i>")
    request_removal(archive, str(other.aip), reason="<b>disposal</b>", person="A. Clerk")
    care_for_copies(archive, settings)
    copy = catalogue.copies.of(str(other.aip))[0]
    catalogue.copies.put(CopyRow(copy.aip, copy.store, copy.version, "", "damaged", "<script>1</script>"))
    row = ProgressRow(
        "p",
        "/x/<script>",
        "store",
        5,
        500,
        10,
        1000,
        90,
        catalogue.database.owner(),
        "2026-11-25T00:00:00Z",
        "",
    )
    catalogue.progress.put(replace(row, updated="2026-11-25T00:01:00Z"))
    numbers = {one.outcome: one.id for one in catalogue.submissions.latest(limit=10)}
    catalogue.close()
    facts = {
        "aip": aip[9:],
        "in_review": numbers["in-review"],
        "rejected": numbers["rejected"],
        "night": "night-1",
    }
    return [path.format(**facts) for path in _PATHS]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page(
    pages: tuple[str, list[str]], browser: Any, shots: Path | None, language: str, scheme: str, width: int
) -> None:
    """No word on the console, nothing foreign asked for, nothing wider than the screen, axe content."""
    from axe_core_python.sync_playwright import Axe

    address, paths = pages
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme,
        locale={"en": "en-GB", "zh": "zh-CN"}[language],
    )  # fmt: skip
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: trouble.append(f"{page.url}: {error}"))
    page.on("dialog", lambda dialog: trouble.append(f"{page.url}: a dialog"))
    page.on(
        "request",
        lambda one: None if one.url.startswith(address) else trouble.append(f"asks for {one.url}"),
    )
    for path in paths:
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        found = Axe().run(page)["violations"] if width == 1280 or path == "/" else []
        trouble += [f"{path}: {one['id']} {one['nodes'][0]['html'][:200]}" for one in found]
        assert page.locator("main script, main img").count() == 0, path
        if shots:
            name = path.strip("/").split("?")[0].replace("/", "-")[:24] or "morning"
            query = "-q" if "?" in path else ""
            page.screenshot(path=shots / f"{name}{query}-{language}-{scheme}-{width}.png", full_page=True)
    context.close()
    expected = [line for line in trouble if "/nothing-here: Failed to load resource" not in line]
    assert expected == []


def test_without_script(pages: tuple[str, list[str]], browser: Any) -> None:
    """All pages say the same with scripts switched off, and all links of the navigation work."""
    address, _ = pages
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    for label in (
        "Holdings",
        "Stores and copies",
        "Search",
        "Submissions",
        "Nightly runs",
        "Problems explained",
    ):
        page.get_by_role("navigation").get_by_role("link", name=label).click()
        assert page.get_by_role("heading", level=1).inner_text().startswith(label)
    page.goto(f"{address}/?lang=zh")
    assert page.get_by_role("heading", level=1).inner_text().startswith("概况")
    page.goto(f"{address}/stores")
    assert page.locator("html").get_attribute("lang") == "zh-Hans", "the choice is remembered"
    context.close()


def test_refreshes(pages: tuple[str, list[str]], browser: Any) -> None:
    """The first page brings itself up to date, without a reload."""
    address, _ = pages
    context = browser.new_context()
    page = context.new_page()
    page.clock.install()
    page.goto(address)
    page.evaluate("() => { document.querySelector('main h1').textContent = 'old' }")
    page.clock.run_for(21_000)
    page.get_by_role("heading", name="Overview").wait_for(timeout=5000)
    context.close()
