"""What an archivist does on an ordinary day, clicked through in a real browser against real servers."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Served, start_serving, until

from stele.settings import load_settings
from stele.workspace import make_workspace
from storage.catalogue import Catalogue

_HELD = 'review = "an archivist looks at every package of this agency"\n[agency]\nname = "Harbour Office"\n'

_SETTLED = 1000  # milliseconds until Prefect's form has taken over what was typed


@pytest.fixture
def served(tmp_path: Path, make_bag: Any) -> Iterator[Served]:
    """A workspace with two deliveries, one of an agency whose packages are reviewed."""
    home = tmp_path / "home"
    make_workspace(home)
    (home / "agreements/harbour-office.toml").write_text(_HELD)
    for agency, name in (("county-office", "minutes"), ("harbour-office", "charts")):
        (home / "dropbox" / agency).mkdir()
        bag = make_bag({f"{name}-会议.txt": b"text"}, name=f"{agency}-{name}", Source_Organization="A")
        bag.rename(home / "dropbox" / agency / name)
    (tmp_path / "outside").mkdir()
    made = start_serving(home)
    yield made
    made.stop()
    assert made.process.returncode == 0, made.said
    assert made.said.rstrip().endswith("Stopped."), made.said


def _ended(served: Served, flow: str) -> dict[str, Any] | None:
    run = served.last_run(flow)
    return run if run and run["state_type"] in ("COMPLETED", "FAILED", "CRASHED") else None


def playwright_error() -> type[Exception]:
    """What a wait ends with (imported only where there is a browser)."""
    from playwright.sync_api import TimeoutError as Late

    return Late


class _Day:
    """A browser at work in a served workspace."""

    def __init__(self, served: Served, browser: Any, shots: Path | None) -> None:
        self.served = served
        self.shots = shots
        self.page = browser.new_context(viewport={"width": 1280, "height": 1100}, locale="en-GB").new_page()
        self.page.set_default_timeout(20_000)

    def sign_in_to_prefect(self) -> None:
        """With the password that “stele init” has made; Prefect's pages keep it."""
        self.page.goto(f"{self.served.prefect}/v2/dashboard")
        self.page.wait_for_url("**/login**")
        self.shot("prefect-sign-in")
        password = (self.served.home / "prefect-password").read_text().strip()
        for _ in range(3):
            self.page.wait_for_timeout(_SETTLED)
            self.page.locator("input").fill(password)
            self.page.keyboard.press("Enter")
            try:
                self.page.wait_for_url(lambda url: "/login" not in url, timeout=8000)
            except playwright_error():
                continue
            return
        raise AssertionError(f"not signed in: {self.page.inner_text('body')[-500:]}")

    def shot(self, name: str) -> None:
        """A picture, when somebody wants to look at it."""
        if self.shots:
            self.page.screenshot(path=self.shots / f"{name}.png", full_page=True)

    def form(self, name: str) -> None:
        """Open the form of a deployment."""
        self.page.goto(
            f"{self.served.prefect}/v2/deployments/deployment/{self.served.deployments[name]}/run"
        )

    def click_submit(self) -> None:
        """Once Prefect's page has taken over what was typed."""
        self.page.wait_for_timeout(_SETTLED)
        self.page.get_by_role("button", name="Submit").click()

    def submit(self, **typed: str) -> None:
        """The form is filled in and sent; what a page that was still loading has lost is typed again."""
        for _ in range(3):
            for label, text in typed.items():
                self.page.get_by_label(label).fill(text)
            self.click_submit()
            try:
                self.page.wait_for_url(
                    lambda url: "/run?" not in url and not url.endswith("/run"), timeout=8000
                )
            except playwright_error():
                continue
            return
        raise AssertionError(f"the form was not taken: {self.page.inner_text('main')[-1500:]}")

    def run_of(self, flow: str) -> dict[str, Any]:
        """The newest run of a flow, when it has ended well."""
        run = until(lambda: _ended(self.served, flow))
        assert run["state_type"] == "COMPLETED", run
        return dict(run)

    def catalogue(self) -> Catalogue:
        """What the workspace's catalogue knows."""
        return Catalogue(load_settings(self.served.home).catalogue_url)


def _ingest_by_form(day: _Day) -> None:
    """A path out of the drop box is refused by the form itself, and no run is made; a right one is run."""
    page = day.page
    day.form("ingest")
    page.get_by_role("button", name="Add item").click()
    box = page.get_by_role("textbox").nth(1)
    box.fill("../../outside")
    day.click_submit()
    page.get_by_text("does not match").first.wait_for()
    day.shot("prefect-form-refused")
    assert day.served.last_run("ingest") is None
    box.fill("county-office/minutes")
    day.shot("prefect-form-filled")
    day.submit()
    run = day.run_of("ingest")
    page.goto(f"{day.served.prefect}/v2/runs/flow-run/{run['id']}")
    page.get_by_text("county-office/minutes: stored").wait_for()
    day.shot("prefect-run")


def _night_by_form(day: _Day) -> None:
    day.form("nightly")
    day.submit()
    run = day.run_of("nightly")
    page = day.page
    page.goto(f"{day.served.prefect}/v2/runs/flow-run/{run['id']}?tab=Artifacts")
    page.get_by_text("The nightly run").first.wait_for()
    page.goto(f"{day.served.prefect}/v2/artifacts/key/nightly-run")
    page.locator("a[href*='/artifacts/artifact/']").first.click()
    page.get_by_role("heading", name="Waiting for a decision").wait_for()
    day.shot("prefect-nightly-artifact")


def _decide(day: _Day) -> None:
    """The form the dashboard links to says what was found; after it nothing waits."""
    page, served = day.page, day.served
    page.goto(served.dashboard)
    page.get_by_text("waits for an archivist's decision").click()
    page.get_by_role("rowheader", name="charts").get_by_role("link").click()
    day.shot("review-before")
    page.get_by_role("link", name="Accept …").click()
    page.get_by_text("an archivist looks at every package").wait_for()
    day.shot("prefect-decision-form")
    day.submit(Reason="looked through on 25 November", Person="A. Clerk")
    day.run_of("decide")
    page.goto(f"{served.dashboard}/submissions?outcome=in-review")
    page.get_by_text("None.").wait_for()
    page.goto(f"{served.dashboard}/submissions")
    page.get_by_role("rowheader", name="charts").get_by_role("link").click()
    page.get_by_text("looked through on 25 November").first.wait_for()
    day.shot("review-after")


def _find_and_download(day: _Day) -> list[tuple[str, bytes]]:
    """Found by a Chinese word of a file's name; its DIP is ordered and downloaded."""
    page = day.page
    page.goto(f"{day.served.dashboard}/search")
    page.get_by_label(re.compile("Words of title")).fill("charts 会议")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("rowheader").get_by_role("link").first.click()
    page.get_by_role("heading", name="Event history").wait_for()
    address = page.url
    day.shot("aip")
    page.get_by_role("link", name="Build a DIP").click()
    day.submit()
    day.run_of("build-dip")
    page.goto(address)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the DIP").click()
    with zipfile.ZipFile(download.value.path()) as made:
        assert made.testzip() is None
        return [(name, made.read(name)) for name in made.namelist()]


def test_an_archivists_day(served: Served, browser: Any, shots: Path | None) -> None:
    """Ingest by the form, a nightly run, a decision, a search, a DIP downloaded."""
    print(f"\nstele serve: ready after {served.ready_after:.1f} s")
    day = _Day(served, browser, shots)
    day.sign_in_to_prefect()
    _ingest_by_form(day)
    _night_by_form(day)
    _decide(day)
    catalogue = day.catalogue()
    (aip,) = [row for row in catalogue.aips.all() if row.agency == "Harbour Office"]
    events = catalogue.events.of(aip.id)
    (submission,) = catalogue.submissions.latest(aip=aip.id)
    catalogue.close()
    assert any("A. Clerk" in event.detail for event in events)
    assert submission.run, "the page of the AIP links to the run that took it in"
    files = dict(_find_and_download(day))
    assert any(name.endswith("index.html") for name in files)
    assert [data for name, data in files.items() if name.endswith("charts-会议.txt")] == [b"text"]
