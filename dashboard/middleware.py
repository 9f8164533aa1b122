"""What stands before every page: Host and Origin, headers that allow nothing foreign, and who asks."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.access import Access
from storage.errors import StorageError

__all__ = ["AuthenticationMiddleware", "HostAndOriginMiddleware", "SecurityHeadersMiddleware"]

_OPEN = ("/sign-in", "/health", "/static/")
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?")
_LOCAL_NAMES = ("localhost",)


class HostAndOriginMiddleware:
    """Refuses what a page of another site sends, before the application sees it; websockets too.

    The name in ``Host`` must be one of ``names``, *localhost* or an IP address: a site elsewhere that
    lets its own name point here (DNS rebinding) always has that name in ``Host``. An ``Origin``, where
    a browser sends one, must be the same site or one of ``origins``.
    """

    def __init__(self, app: ASGIApp, *, names: Iterable[str], origins: Iterable[str] = ()) -> None:
        self._app = app
        self._names = {*_LOCAL_NAMES, *(name.lower() for name in names)}
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and (refusal := self._refusal(scope)):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await Response(f"{refusal}\n", 421 if "Host" in refusal else 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str:
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return "This server does not answer to the name in Host; name it in stele.toml."
        origins = _values(scope, b"origin")
        if any(urlsplit(one).netloc != hosts[0] and one not in self._origins for one in origins):
            return "Requests from pages of another site (Origin) are refused."
        # An image or a script on a page elsewhere: no Origin, but newer browsers say where it is from.
        if "cross-site" in _values(scope, b"sec-fetch-site"):
            mode = _values(scope, b"sec-fetch-mode")
            if mode != ["navigate"] or scope.get("method") not in ("GET", "HEAD"):
                return "Requests from pages of another site are refused."
        return ""

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found.group(1)
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in scope["headers"] if key == name]


class SecurityHeadersMiddleware:
    """Nothing from elsewhere and no frame, by the policy (CSP) given; for the dashboard also no script
    but its own, and nothing kept by browsers. Also on errors."""

    def __init__(self, app: ASGIApp, *, policy: str = _POLICY, no_store: bool = True) -> None:
        self._app = app
        self._headers = ((b"content-security-policy", policy.encode()), *_HEADERS)
        self._no_store = no_store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if self._no_store and not scope["path"].startswith("/static/"):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*headers, *self._headers]}
            await send(message)

        await self._app(scope, receive, with_headers)


class AuthenticationMiddleware:
    """Lets nobody through who is not known; the person is in ``request.state.person``."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_OPEN):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            person = await run_in_threadpool(self._access.person, request)
        except StorageError:
            await Response("The catalogue cannot be reached.\n", 503)(scope, receive, send)
            return
        if person is None:
            await self._ask(request)(scope, receive, send)
            return
        scope.setdefault("state", {})["person"] = person
        await self._app(scope, receive, send)

    @staticmethod
    def _ask(request: Request) -> Response:
        if request.url.path == "/metrics":
            return Response("sign in\n", 401, {"WWW-Authenticate": 'Basic realm="Stele", charset="UTF-8"'})
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?target={quote(target)}", 303)
