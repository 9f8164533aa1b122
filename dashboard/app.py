"""The dashboard as an ASGI application: addresses, and who may open them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dashboard.access import (
    COOKIE,
    DEVICE_COOKIE,
    DEVICE_LIFETIME,
    LIFETIME,
    LOCAL,
    Access,
    Person,
    SignInRefused,
    client_address,
)
from dashboard.download import DipMissing, zipped
from dashboard.metrics import metrics_text
from dashboard.middleware import (
    AuthenticationMiddleware,
    HostAndOriginMiddleware,
    SecurityHeadersMiddleware,
)
from dashboard.pages.agency import agency_page
from dashboard.pages.aip import aip_page, files_page
from dashboard.pages.holdings import holdings_page
from dashboard.pages.nightly_runs import nightly_run_page, nightly_runs_page
from dashboard.pages.overview import overview_page
from dashboard.pages.patterns import patterns_page
from dashboard.pages.plain import MessagePage, SignInPage
from dashboard.pages.problems import problems_page
from dashboard.pages.search import search_page
from dashboard.pages.stores import copies_page, stores_page
from dashboard.pages.submissions import removals_page, submission_page, submissions_page
from dashboard.rendering import PageContext, render
from dashboard.sources import Sources
from packages.identifiers import PackageId
from pipeline.access.release import downloaded
from storage.catalogue import Search
from storage.errors import StorageError

__all__ = ["create_app"]

_MAX_NUMBER = 1 << 53


def create_app(sources: Sources, *, hosts: list[str], loopback: bool, secure: bool = False) -> Starlette:
    """The application. ``hosts`` are the names it answers to (a page elsewhere must not rebind its own).

    ``loopback``: only this machine can reach it, so that without accounts nobody need sign in.
    ``secure``: it is reached by HTTPS, so the session's cookie is sent by nothing else.
    """
    access = Access(sources.catalogue, sources.clock, loopback=loopback)
    pages = _Pages(sources, access, secure=secure)
    static = StaticFiles(directory=str(files("dashboard").joinpath("static")))
    return Starlette(
        routes=[*pages.routes(), Mount("/static", static)],
        middleware=[
            Middleware(HostAndOriginMiddleware, names=hosts),
            Middleware(SecurityHeadersMiddleware),
            Middleware(AuthenticationMiddleware, access=access),
        ],
        exception_handlers={
            HTTPException: pages.refused,
            StorageError: pages.unavailable,
            Exception: pages.broken,
        },
    )


@dataclass(slots=True)
class _Pages:
    """Each address: its parameters, its page, its template."""

    sources: Sources
    access: Access
    secure: bool

    def routes(self) -> list[BaseRoute]:
        """All addresses."""
        return [
            Route("/", self._show("overview.html", lambda r: overview_page(self.sources), refresh=True)),
            Route("/holdings", self._show("holdings.html", lambda r: holdings_page(self.sources))),
            Route("/stores", self._show("stores.html", lambda r: stores_page(self.sources))),
            Route("/copies", self._show("copies.html", self._copies)),
            Route("/search", self._show("search.html", self._search)),
            Route("/aips/{uuid}", self._show("aip.html", self._aip)),
            Route("/aips/{uuid}/files", self._show("files.html", self._files)),
            Route("/aips/{uuid}/dip.zip", self.dip),
            Route("/agencies/{name:path}", self._show("agency.html", self._agency)),
            Route("/submissions", self._show("submissions.html", self._submissions)),
            Route("/submissions/{number}", self._show("submission.html", self._submission)),
            Route("/removals", self._show("removals.html", lambda r: removals_page(self.sources))),
            Route(
                "/nightly-runs", self._show("nightly_runs.html", lambda r: nightly_runs_page(self.sources))
            ),
            Route("/nightly-runs/{number}", self._show("nightly_run.html", self._night)),
            Route("/problems", self._show("problems.html", lambda r: problems_page())),
            Route("/patterns", self._show("patterns.html", lambda r: patterns_page())),
            Route("/metrics", self.metrics),
            Route("/health", self.health),
            Route("/sign-in", self.sign_in_form, methods=["GET"]),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    def _show(self, template: str, make: Callable[[Request], Any], *, refresh: bool = False) -> Any:
        def endpoint(request: Request) -> Response:
            page = make(request)
            if page is None:
                raise HTTPException(404)
            return render(request, self._look(request), template, page, refresh=refresh)

        return endpoint

    def _look(self, request: Request) -> PageContext:
        person: Person = getattr(request.state, "person", LOCAL)
        sources = self.sources
        return PageContext(sources.archive_name, sources.zone, person, sources.orchestration.address)

    def _copies(self, request: Request) -> Any:
        asked = request.query_params
        return copies_page(
            self.sources, asked.get("store", ""), asked.get("state", ""), asked.get("after", "")
        )

    def _search(self, request: Request) -> Any:
        asked = request.query_params
        wanted = Search(
            asked.get("q", "")[:500], asked.get("agency", ""), asked.get("format", ""),
            asked.get("from", ""), asked.get("to", ""),
        )  # fmt: skip
        return search_page(self.sources, wanted, _number(request, "before"))

    def _aip(self, request: Request) -> Any:
        may_download = request.state.person.may_download
        return aip_page(self.sources, _package(request), may_download=may_download)

    def _files(self, request: Request) -> Any:
        puid = request.query_params.get("format", "")
        return files_page(self.sources, _package(request), puid=puid, skip=_number(request, "skip"))

    def _agency(self, request: Request) -> Any:
        return agency_page(self.sources, request.path_params["name"])

    def _submissions(self, request: Request) -> Any:
        asked = request.query_params
        return submissions_page(
            self.sources, outcome=asked.get("outcome", ""), agency=asked.get("agency", ""),
            since=asked.get("since", ""), skip=_number(request, "skip"),
        )  # fmt: skip

    def _submission(self, request: Request) -> Any:
        return submission_page(self.sources, request.path_params["number"])

    def _night(self, request: Request) -> Any:
        return nightly_run_page(self.sources, request.path_params["number"])

    def dip(self, request: Request) -> Response:
        """A DIP that was built, as a zip; only for those who may see records."""
        package = _package(request)
        if not request.state.person.may_download:
            raise HTTPException(403)
        name = f"dip-{package.uuid}"
        try:
            stream = zipped(self.sources.dips / name)
        except DipMissing:
            raise HTTPException(404) from None
        if self.sources.catalogue.aips.get(package.urn) is None:
            raise HTTPException(404)
        # A DIP of closed records was built because somebody answered for it; who takes it is told too.
        taken = downloaded(request.state.person.name, self.sources.clock())
        self.sources.catalogue.events.add(package.urn, [taken])
        headers = {"content-disposition": f'attachment; filename="{name}.zip"'}
        return StreamingResponse(stream, media_type="application/zip", headers=headers)

    def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        return Response(metrics_text(self.sources), media_type="text/plain; version=0.0.4")

    def health(self, request: Request) -> Response:
        """Whether the catalogue answers; says nothing else, for it is open to all."""
        self.sources.catalogue.nightly_runs.latest(1)
        return Response("ok\n", media_type="text/plain")

    def sign_in_form(self, request: Request) -> Response:
        """The form."""
        page = SignInPage("", "", _safe_target(request.query_params.get("target", "/")))
        return render(request, self._look(request), "sign-in.html", page)

    async def sign_in(self, request: Request) -> Response:
        """Name and password from the form."""
        async with request.form(max_files=0, max_fields=8) as form:
            name, password = str(form.get("name", ""))[:64], str(form.get("password", ""))
            target = _safe_target(str(form.get("target", "/")))
        device = request.cookies.get(DEVICE_COOKIE, "")
        done = await run_in_threadpool(self.access.sign_in, name, password, client_address(request), device)
        if isinstance(done, SignInRefused):
            page = SignInPage(str(done), name, target)
            status = 429 if done is SignInRefused.BLOCKED else 401
            return await run_in_threadpool(
                render, request, self._look(request), "sign-in.html", page, status=status
            )
        answer = RedirectResponse(target, 303)
        for cookie, value, lifetime in (
            (COOKIE, done.token, LIFETIME), (DEVICE_COOKIE, done.device, DEVICE_LIFETIME)
        ):  # fmt: skip
            answer.set_cookie(
                cookie, value, max_age=int(lifetime.total_seconds()), httponly=True, samesite="strict",
                secure=self.secure,
            )  # fmt: skip
        return answer

    def sign_out(self, request: Request) -> Response:
        """The session is over."""
        self.access.sign_out(request)
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE)
        return answer

    def refused(self, request: Request, error: Exception) -> Response:
        """What is not there, or not for this person."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        kind = {404: "missing", 403: "forbidden"}.get(status, "broken")
        return self._message(request, kind, "", status)

    def unavailable(self, request: Request, error: Exception) -> Response:
        """The catalogue cannot be reached."""
        return self._message(request, "unavailable", str(error), 503)

    def broken(self, request: Request, error: Exception) -> Response:
        """A bug; the log has it."""
        return self._message(request, "broken", type(error).__name__, 500)

    def _message(self, request: Request, kind: str, detail: str, status: int) -> Response:
        if request.url.path == "/health":
            return Response(f"{kind}\n", status, media_type="text/plain")
        return render(
            request, self._look(request), "message.html", MessagePage(kind, detail), status=status
        )


def _package(request: Request) -> PackageId:
    try:
        return PackageId.parse(request.path_params["uuid"])
    except ValueError:
        raise HTTPException(404) from None


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "0")
    return min(int(text), _MAX_NUMBER) if text.isascii() and text.isdecimal() else 0


def _safe_target(target: str) -> str:
    """A place on this site, never another site's."""
    parts = urlsplit(target)
    here = target.startswith("/") and not parts.scheme and not parts.netloc
    return target if here and "\\" not in target and "//" not in target[:2] else "/"
