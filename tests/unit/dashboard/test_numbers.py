"""Each number on a page is the length of the list it links to; every page renders whatever was kept."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard import create_app
from dashboard.pages.overview import nightly_run_of, overview_page
from dashboard.pages.stores import store_lines
from dashboard.sources import Orchestration, Sources
from stele.dashboard_server import sources_of
from stele.settings import Settings
from storage.catalogue import (
    AipRow,
    Catalogue,
    CopyRow,
    EventRow,
    FileRow,
    FormatCount,
    NightlyRunRow,
    RemovalRow,
)

_NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


class _Links(HTMLParser):
    """(address, text) of every link in the content of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._open: list[str] | None = None
        self._inside = False
        self.rows = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside |= tag == "main"
        self.rows += tag == "tr"
        if tag == "a" and self._inside:
            self._open = [dict(attrs).get("href") or "", ""]

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open:
            self.found.append((self._open[0], self._open[1].strip()))
            self._open = None
        self._inside &= tag != "main"

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[1] += data


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Sources]:
    """A catalogue in which something of everything has happened."""
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    catalogue.migrate()
    for number in range(1, 13):
        row = AipRow(
            f"urn:uuid:{number:032x}"[:9] + f"00000000-0000-4000-8000-{number:012x}", "v1", f"Title {number}", "default",
            f"Agency {number % 3}", f"E{number}", "", 2, 100 * number, f"2026-{1 + number % 11:02}-05T00:00:00Z", "",
        )  # fmt: skip
        files = [
            FileRow(f"a-{number}.txt", 1, "fmt/1", f"{number:0128x}"),
            FileRow("b.pdf", 1, "fmt/2", f"{number + 99:0128x}"),
        ]
        formats = [FormatCount("fmt/1", "One", 1, 1), FormatCount("fmt/2", "Two", 1, 1, not_valid=1)]
        copies = [CopyRow(row.id, "archive", "v1", row.created, "verified", "", row.created)]
        if number % 4 == 0:
            copies.append(CopyRow(row.id, "second", "", "", "pending", "it was away"))
        else:
            copies.append(replace(copies[0], store="second"))
        catalogue.aips.register(
            row,
            copies=copies,
            formats=formats,
            events=(),
            files=files,
        )
        for outcome in ("stored",) if number % 2 else ("in-review", "rejected"):
            catalogue.submissions.finish(
                f"{number:038x}{outcome[:2]}", subject=f"/box/{outcome}-{number}", agreement="default", outcome=outcome,
                aip=row.id if outcome == "stored" else None, now="2026-11-24T23:00:00Z", report="{}", agency=row.agency,
            )  # fmt: skip
    catalogue.copies.put(CopyRow(row.id, "archive", "v1", "", "damaged", "rot"))
    asked = RemovalRow(row.id, "disposal", "A", "2026-11-20T00:00:00Z", "", "")
    told = EventRow(str(uuid.uuid4()), "deletion", asked.requested, "warning", "asked for", "", "*")
    catalogue.removals.request(asked, told)
    settings = Settings.model_validate(
        {
            "home": tmp_path,
            "stores": [
                {"kind": "files", "name": "archive"},
                {"kind": "files", "name": "second", "path": "s", "capacity": 9000},
            ],
        }
    )
    yield replace(sources_of(settings, catalogue), clock=lambda: _NOW)
    catalogue.close()


@pytest.fixture
def client(sources: Sources) -> Any:
    """A browser without a screen."""
    return TestClient(create_app(sources, hosts=["testserver"], loopback=True))


_SKIPPED = ("/stores", "/holdings", "/nightly-runs", "/aips/")
"""Links of figures that a page explains rather than lists."""


@pytest.mark.parametrize("page", ["/", "/holdings", "/stores", "/agencies/Agency%201"])
def test_numbers_are_the_length_of_their_lists(client: Any, page: str) -> None:
    """Followed, each link shows exactly so many rows."""
    followed = 0
    for address, text in _Links(client.get(page).text).found:
        number = re.match(r"[\d,]+", text)
        if not number or address.startswith(_SKIPPED) or address.startswith("http"):
            continue
        followed += 1
        listed = client.get(address)
        assert listed.status_code == 200, address
        rows = listed.text.count('<th scope="row">')
        assert rows == int(number.group().replace(",", "")), (page, text, address)
    assert followed >= 1


def test_every_link_leads_somewhere(client: Any) -> None:
    """All addresses reachable from the first page answer."""
    waiting, seen = ["/"], {"/"}
    while waiting:
        page = client.get(waiting.pop())
        assert page.status_code == 200, page.url
        for address, _ in _Links(page.text).found:
            plain = address.partition("#")[0]
            if plain.startswith("/") and plain not in seen and len(seen) < 400:
                seen.add(plain)
                waiting.append(plain)
    assert len(seen) > 40


def test_what_needs_a_person(sources: Sources) -> None:
    """Waiting, rejected, removals, damage, pending copies: each counted; a nightly run that never ran is no alarm."""
    page = overview_page(sources)
    found = {(task.kind, task.store): task.number for task in page.tasks}
    assert found == {
        ("in-review", ""): 6, ("rejected", ""): 6, ("removals", ""): 1, ("damaged", "archive"): 1, ("pending", "second"): 3,
        ("overdue", "archive"): 8, ("overdue", "second"): 7,
    }  # fmt: skip
    assert page.nightly_run.state == "never"


@pytest.mark.parametrize(
    ("started", "finished", "state"),
    [
        ("2026-11-24T22:00:00Z", "2026-11-24T23:00:00Z", "ended"),
        ("2026-11-23T22:00:00Z", "2026-11-23T23:00:00Z", "late"),
        ("2026-11-24T22:00:00Z", "", "died"),
    ],
)
def test_what_became_of_the_night(sources: Sources, started: str, finished: str, state: str) -> None:
    """Ended, none since, or dead: its process is not there any more."""
    row = NightlyRunRow("n", "another-host:1:1", started, finished, "")
    assert nightly_run_of(sources, row).state == state
    assert nightly_run_of(sources, row, newest=False).state == ("ended" if finished else "died")


def test_room_and_time_left(sources: Sources) -> None:
    """A quota is believed; what is used of it counts content; the pace is that of the last months."""
    archive, second = store_lines(sources)
    assert second.total == 9000
    assert second.free == 9000 - second.bytes
    assert second.bytes == sum(100 * number for number in range(1, 13) if number % 4)
    assert archive.total is None or archive.total > 1 << 20
    assert second.days_left is not None
    assert second.nearly_full == (second.free < 900 or second.days_left < 90)


def test_forms_filled_in() -> None:
    """A link carries the request as Prefect's form reads it; without a server there is none."""
    known = Orchestration("http://prefect", {"decide": "d-1"})
    link = known.form("decide", number="x", decision="accept", found="<b>&会议")
    assert link.startswith("http://prefect/v2/deployments/deployment/d-1/run?parameters=%7B%22request")
    assert "<" not in link
    assert known.form("unknown") == Orchestration().form("decide") == Orchestration().run("r") == ""
