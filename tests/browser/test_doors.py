"""A page of another site, in a real browser, and what it gets of Prefect and of the dashboard: nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from serving import Served, start_serving

from stele.settings import load_settings
from stele.workspace import make_workspace

_EVIL = "evil.example"
"""Its name leads to this machine, as after a rebinding of DNS."""

_FETCH = """async (address) => {
  try {
    const answer = await fetch(address, {credentials: "include"});
    return answer.status + " " + (await answer.text()).slice(0, 200);
  } catch (error) { return "refused"; }
}"""
_SEND = """async (address) => {
  try { await fetch(address, {method: "POST", mode: "no-cors", credentials: "include", body: "name=a"}); }
  catch (error) { return "refused"; }
  return "sent";
}"""
_SOCKET = """(address) => new Promise((done) => {
  const socket = new WebSocket(address, ["prefect"]);
  socket.onopen = () => socket.send(JSON.stringify({type: "auth", token: null}));
  socket.onmessage = (message) => done("read " + message.data);
  socket.onclose = () => done("refused");
})"""
_FRAME = """(address) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.src = address;
  frame.onload = () => done("loaded");
  document.body.append(frame);
  setTimeout(() => done("blocked"), 4000);
})"""


class _Page(BaseHTTPRequestHandler):
    """The attacker's site: one empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>evil</title><body>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module", params=["without a password", "with a password"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A workspace under “stele serve”: even where somebody has done without the password."""
    home = tmp_path_factory.mktemp("doors") / "home"
    make_workspace(home)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "without a password":
            (home / "prefect-password").unlink()
            patch.setenv("STELE_PREFECT__WITHOUT_PASSWORD", "true")
        made = start_serving(home)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def evil(launch: Any) -> Iterator[Any]:
    """A page of another site in a browser for which that site's name leads here."""
    site = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    Thread(target=site.serve_forever, daemon=True).start()
    browser = launch(f"--host-resolver-rules=MAP {_EVIL} 127.0.0.1")
    page = browser.new_context().new_page()
    page.goto(f"http://{_EVIL}:{site.server_port}/")
    yield page
    browser.close()
    site.shutdown()
    site.server_close()


def _port(address: str) -> str:
    return address.rsplit(":", 1)[1]


def test_a_page_elsewhere_reads_nothing(served: Served, evil: Any) -> None:
    """By fetch, by a form, by a websocket, in a frame: refused, by address and by a name that leads here."""
    for name in ("127.0.0.1", "localhost", _EVIL):
        prefect, dashboard = f"{name}:{_port(served.prefect)}", f"{name}:{_port(served.dashboard)}"
        for address in (
            f"{prefect}/api/csrf-token?client=a",
            f"{prefect}/api/admin/settings",
            f"{prefect}/api/health",
            f"{dashboard}/metrics",
            f"{dashboard}/health",
            f"{dashboard}/submissions",
        ):
            assert evil.evaluate(_FETCH, f"http://{address}") == "refused", address
        for path in ("events/in", "events/out", "logs/out"):
            assert evil.evaluate(_SOCKET, f"ws://{prefect}/api/{path}") == "refused", path
    for address in (served.prefect, served.dashboard):
        evil.evaluate(_FRAME, address)
        assert not evil.frames[-1].locator("nav, #app").count(), "shown in a frame"
        evil.evaluate("() => document.querySelectorAll('iframe').forEach((one) => one.remove())")


def test_a_rebound_name_is_no_way_in(served: Served, evil: Any) -> None:
    """The attacker's own name and our port: the browser takes it for one site, we do not answer to it."""
    page = evil.context.browser.new_context().new_page()
    for address in (served.prefect, served.dashboard):
        answer = page.goto(f"http://{_EVIL}:{_port(address)}/")
        assert answer.status == 421
        assert page.evaluate(_FETCH, "/api/csrf-token?client=a").startswith("421")
        assert page.evaluate(_FETCH, "/metrics").startswith("421")
        socket = f"ws://{_EVIL}:{_port(address)}/api/events/out"
        assert page.evaluate(_SOCKET, socket) == "refused"
    page.context.close()


def test_a_form_elsewhere_starts_nothing(served: Served, evil: Any) -> None:
    """A request that may be sent without asking (no-cors) reaches nothing that counts."""
    before = _runs_of_people(served)
    evil.evaluate(_SEND, f"{served.prefect}/api/flow_runs/")
    evil.evaluate(_SEND, f"{served.dashboard}/sign-in")
    assert _runs_of_people(served) == before


def _runs_of_people(served: Served) -> set[str]:
    """Flow runs but for those that the schedules make, whenever they come to it."""
    runs = served.ask("flow_runs/filter", {"limit": 200})
    return {run["id"] for run in runs if not run["auto_scheduled"]}


def test_our_own_page_works(served: Served, evil: Any) -> None:
    """The same browser on the right address gets pages, and Prefect's websocket."""
    page = evil.context.browser.new_context().new_page()
    assert page.goto(served.dashboard).status == 200
    assert page.goto(f"{served.prefect}/v2/dashboard").status == 200
    password = load_settings(served.home).prefect.auth.get_secret_value()
    socket = _SOCKET.replace("token: null", f"token: {json.dumps(password or None)}")
    answer = page.evaluate(socket, f"ws://127.0.0.1:{_port(served.prefect)}/api/events/in")
    assert "auth_success" in answer
    page.context.close()
