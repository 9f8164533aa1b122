"""Who may see what, from where, and how hard it is to guess a way in."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

import dashboard.access as access_module
from dashboard import create_app
from dashboard.access import Access, NewSession, SignInRefused, hash_password, verify_password
from stele.dashboard_server import is_loopback, sources_of
from stele.settings import Settings
from storage.catalogue import AccountRow, AipRow, Catalogue, CopyRow, FileRow, FormatCount

pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx`")
_AIP = "ae05bbf8-9b1e-42f8-8635-685c10b92ca0"
_PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guess costs is no matter here, only how many there may be."""
    monkeypatch.setattr(
        access_module, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    )
    monkeypatch.setattr(access_module, "_NOBODY", hash_password("nobody's"))


class _Site:
    """A dashboard over an empty catalogue, with a clock that can be turned."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalogue = Catalogue(f"sqlite:///{folder / 'catalogue.sqlite'}")
        self.catalogue.migrate()
        self.now = datetime(2026, 11, 25, 8, tzinfo=UTC)

    def add(self, name: str, role: str) -> None:
        self.catalogue.accounts.put(AccountRow(name, role, hash_password(_PASSWORD), ""))

    def client(self, *, loopback: bool = False, secure: bool = False) -> Any:
        from dataclasses import replace

        sources = replace(sources_of(Settings(home=self.folder), self.catalogue), clock=lambda: self.now)
        app = create_app(sources, hosts=["testserver"], loopback=loopback, secure=secure)
        return TestClient(app, follow_redirects=False, raise_server_exceptions=False)

    def sign_in(self, client: Any, name: str, password: str = _PASSWORD, **more: Any) -> Any:
        return client.post(
            "/sign-in", data={"name": name, "password": password, "target": "/stores"}, **more
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[_Site]:
    """As said."""
    made = _Site(tmp_path)
    row = AipRow(f"urn:uuid:{_AIP}", "v1", "T", "default", "A", "", "", 1, 1, "2026-01-01T00:00:00Z", "")
    made.catalogue.aips.register(
        row, copies=[CopyRow(row.id, "archive", "v1", row.created, "verified", "", row.created)], formats=[FormatCount("fmt/1", "F", 1, 1)], events=(),
        files=[FileRow("a", 1, "fmt/1", "0" * 128)],
    )  # fmt: skip
    (tmp_path / "dips" / f"dip-{_AIP}").mkdir(parents=True)
    (tmp_path / "dips" / f"dip-{_AIP}" / "index.html").write_text("<p>")
    (tmp_path / "secret").write_text("s")
    (tmp_path / "dips" / f"dip-{_AIP}" / "link").symlink_to(tmp_path / "secret")
    yield made
    made.catalogue.close()


def test_loopback_without_accounts_is_open(site: _Site) -> None:
    """The first try on one's own machine asks for nothing."""
    assert site.client(loopback=True).get("/").status_code == 200


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize("path", ["/", "/stores", f"/aips/{_AIP}", f"/aips/{_AIP}/dip.zip", "/patterns"])
def test_with_accounts_everybody_signs_in(site: _Site, path: str, loopback: bool) -> None:
    """Also on loopback: a proxy may stand before it."""
    site.add("chen", "archivist")
    answer = site.client(loopback=loopback).get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?target=")


def test_beyond_loopback_without_accounts_nobody_gets_in(site: _Site) -> None:
    """No account is no reason to be open."""
    assert site.client().get("/").status_code == 303
    assert site.client().get("/health").text == "ok\n"


def test_signing_in_and_out(site: _Site) -> None:
    """The cookie is worth something until it is over, and for no script."""
    site.add("chen", "archivist")
    client = site.client(secure=False)
    answer = site.sign_in(client, "chen")
    assert (answer.status_code, answer.headers["location"]) == (303, "/stores")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "chen" in client.get("/stores").text
    token = client.cookies["stele_session"]
    assert client.post("/sign-out").status_code == 303
    client.cookies.set("stele_session", token)
    assert client.get("/stores").status_code == 303, "an old token is dead"


def test_secure_cookie_behind_https(site: _Site) -> None:
    """Where HTTPS is spoken the cookie goes nowhere else."""
    site.add("chen", "archivist")
    assert "secure" in site.sign_in(site.client(secure=True), "chen").headers["set-cookie"].lower()


def test_a_session_ends(site: _Site) -> None:
    """After twelve hours, and when the account changes or goes."""
    site.add("chen", "archivist")
    client = site.client()
    site.sign_in(client, "chen")
    site.now += timedelta(hours=12, seconds=1)
    assert client.get("/").status_code == 303
    site.sign_in(client, "chen")
    assert client.get("/").status_code == 200
    site.add("chen", "auditor")
    assert client.get("/").status_code == 303


@pytest.mark.parametrize(("role", "status"), [("archivist", 200), ("operator", 403), ("auditor", 403)])
def test_who_may_download(site: _Site, role: str, status: int) -> None:
    """Records themselves are for archivists; the page offers them to nobody else."""
    site.add("chen", role)
    client = site.client()
    site.sign_in(client, "chen")
    answer = client.get(f"/aips/{_AIP}/dip.zip")
    assert answer.status_code == status
    assert ("Download the DIP" in client.get(f"/aips/{_AIP}").text) == (status == 200)
    if status == 200:
        assert b"index.html" in answer.content
        assert b"secret" not in answer.content, "a link in a DIP leads nowhere"


def test_guessing(site: _Site) -> None:
    """Five wrong tries for a name from an address, and even the right one must wait; others need not."""
    site.add("chen", "operator")
    site.add("li", "operator")
    client = site.client()
    answers = [site.sign_in(client, "chen", "wrong password").status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]
    assert site.sign_in(client, "chen").status_code == 429
    assert site.sign_in(client, "li").status_code == 303
    names = [site.sign_in(client, f"name {number}", "wrong password").status_code for number in range(30)]
    assert names == [401] * 25 + [429] * 5, "thirty wrong tries from one address"


def test_guessing_at_once(site: _Site) -> None:
    """Forty guesses at the same moment are no more than five, whichever of them is right."""
    site.add("chen", "operator")
    access = Access(site.catalogue, lambda: site.now, loopback=False)
    with ThreadPoolExecutor(40) as pool:
        tried = [
            pool.submit(access.sign_in, "chen", f"wrong guess {number}", "203.0.113.9")
            for number in range(40)
        ]
    assert Counter(one.result() for one in tried) == {SignInRefused.WRONG: 5, SignInRefused.BLOCKED: 35}


def test_nobody_is_locked_out_by_others(site: _Site) -> None:
    """Whoever guesses a name blocks nobody who has signed in from their browser before."""
    site.add("chen", "operator")
    access = Access(site.catalogue, lambda: site.now, loopback=False)
    owner = access.sign_in("chen", _PASSWORD, "192.0.2.1")
    assert isinstance(owner, NewSession)
    for number in range(40):
        for place in ("192.0.2.1", f"203.0.113.{number}"):  # also behind the same proxy
            access.sign_in("chen", "wrong guess", place)
    assert access.sign_in("chen", _PASSWORD, "192.0.2.1") is SignInRefused.BLOCKED
    assert isinstance(access.sign_in("chen", _PASSWORD, "192.0.2.1", owner.device), NewSession)
    for seal in ("", ".", "x.y", "ä.ö", owner.device[:-1], "x" + owner.device):
        assert access.sign_in("chen", _PASSWORD, "192.0.2.1", seal) is SignInRefused.BLOCKED
    wrong = [access.sign_in("chen", "wrong guess", "192.0.2.1", owner.device) for _ in range(11)]
    assert wrong == [SignInRefused.WRONG] * 10 + [SignInRefused.BLOCKED], "a stolen cookie is no way in"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Via", "Forwarded"])
def test_through_a_proxy_nobody_is_local(site: _Site, header: str) -> None:
    """A proxy on this machine passes on requests of people who may be anywhere."""
    assert site.client(loopback=True).get("/", headers={header: "203.0.113.9"}).status_code == 303


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "javascript:1"]
)
def test_no_way_to_other_sites(site: _Site, target: str) -> None:
    """Signing in leads to this site's pages only."""
    site.add("chen", "operator")
    answer = site.client().post("/sign-in", data={"name": "chen", "password": _PASSWORD, "target": target})
    assert answer.headers["location"] == "/"


def test_forms_of_other_sites(site: _Site) -> None:
    """A form elsewhere signs nobody in or out."""
    site.add("chen", "operator")
    client = site.client()
    assert site.sign_in(client, "chen", headers={"Origin": "https://evil.example"}).status_code == 403
    site.sign_in(client, "chen", headers={"Origin": "http://testserver"})
    assert client.post("/sign-out", headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.get("/").status_code == 200


def test_other_names_for_this_host(site: _Site) -> None:
    """A page elsewhere that gives its own name this machine's address reads nothing."""
    client = site.client(loopback=True)
    for host in (
        "evil.example",
        "evil.example:4280",
        "localhost.evil.example",
        "127.0.0.1:80@evil",
        "",
        "a b",
    ):
        assert client.get("/", headers={"Host": host}).status_code == 421, host
    for host in ("127.0.0.1:4280", "localhost", "LOCALHOST:1", "[::1]:4280"):
        assert client.get("/", headers={"Host": host}).status_code == 200, host


def test_requests_of_other_pages(site: _Site) -> None:
    """What a page elsewhere asks for is refused, also without a form; a link from there is followed."""
    client = site.client(loopback=True)
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ):
        assert client.get("/metrics", headers=headers).status_code == 403, headers
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=followed).status_code == 200


def test_headers_on_every_answer(site: _Site) -> None:
    """Nothing from elsewhere, no frames, no cache: on pages, errors and redirects."""
    client = site.client(loopback=True)
    for path in ("/", "/nothing", f"/aips/{_AIP}", "/aips/no-uuid", "/sign-in", "/metrics"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_metrics_for_a_machine(site: _Site) -> None:
    """Prometheus signs in with each request, and reads nothing else so."""
    site.add("prometheus", "operator")
    client = site.client()
    assert client.get("/metrics").status_code == 401
    word = {"Authorization": "Basic " + base64.b64encode(f"prometheus:{_PASSWORD}".encode()).decode()}
    text = client.get("/metrics", headers=word).text
    assert re.search(r'^stele_copies\{state="verified",store="archive"\} 1.0$', text, re.MULTILINE)
    assert client.get("/", headers=word).status_code == 303
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) .+|[a-z_]+(\{[^}]*\})? -?[0-9.e+]+", line), line


def test_the_catalogue_is_away(site: _Site, tmp_path: Path) -> None:
    """A plain page with 503, not a traceback; /health says so too."""
    client = site.client(loopback=True)
    site.catalogue.close()
    for one in tmp_path.glob("catalogue.sqlite*"):
        one.unlink()
    (tmp_path / "catalogue.sqlite").mkdir()
    assert client.get("/health").status_code == 503
    answer = client.get("/")
    assert answer.status_code == 503
    assert "Traceback" not in answer.text
    (tmp_path / "catalogue.sqlite").rmdir()


def test_passwords() -> None:
    """Salted; the right one and no other."""
    kept = hash_password("a long password")
    assert kept != hash_password("a long password")
    assert verify_password("a long password", kept)
    assert not verify_password("a long passwore", kept)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("archive.example.org", False), ("10.0.0.1", False)],
)  # fmt: skip
def test_what_is_loopback(host: str, expected: bool) -> None:
    """What only this machine can reach."""
    assert is_loopback(host) is expected


def test_a_hash_of_weaker_parameters_is_made_anew(site: Any) -> None:
    """At the next sign-in; who is signed in stays so."""
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(_PASSWORD)
    site.catalogue.accounts.put(AccountRow("anna", "archivist", weak, ""))
    access = Access(site.catalogue, lambda: site.now, loopback=True)
    assert isinstance(access.sign_in("anna", _PASSWORD, "127.0.0.1"), NewSession)
    account = site.catalogue.accounts.get("anna")
    assert account.password != weak
    assert verify_password(_PASSWORD, account.password)
