"""The Prefect server of ``stele serve``, which answers to its own names and its own pages only.

``python -m flows.serving.prefect_server``; ``STELE_HOME`` names the workspace, everything else of
Prefect is set by ``PREFECT_…`` variables. Prefect itself looks at neither Host nor, on its websockets,
Origin: a page of another site could read and write its events, and under a name of its own the whole
API. Its pages may load nothing from elsewhere (they try to load a script of an analytics firm), and be
in no frame.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import uvicorn
from prefect.server.api.server import create_app
from prefect.settings import get_current_settings
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.middleware import HostAndOriginMiddleware, SecurityHeadersMiddleware
from flows.serving.supervisor import ui_address
from stele.settings import PrefectSettings, find_home, load_settings

__all__ = ["main", "names_of"]

_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)

_OPEN_PAGES = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    wanted, api = load_settings(find_home(None)).prefect, get_current_settings().server.api
    pages = _without_open_pages(create_app(final=True))
    app = HostAndOriginMiddleware(
        SecurityHeadersMiddleware(pages, policy=_POLICY, no_store=False),
        names=names_of(wanted), origins=[ui_address(wanted)],
    )  # fmt: skip
    uvicorn.run(
        app, host=api.host, port=api.port, timeout_keep_alive=api.keepalive_timeout,
        ws_ping_interval=api.websocket_ping_interval, ws_ping_timeout=api.websocket_ping_timeout,
        log_level=get_current_settings().server.logging_level.lower(), server_header=False,
        proxy_headers=False,
    )  # fmt: skip


def _without_open_pages(app: ASGIApp) -> ASGIApp:
    """Prefect asks for the password below ``/api`` only: the descriptions of its API that lie outside
    are not answered. The one below ``/api`` stays."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        hidden = scope["type"] == "http" and scope["path"].rstrip("/") in _OPEN_PAGES
        await (Response(status_code=404) if hidden else app)(scope, receive, send)

    return answer


def names_of(wanted: PrefectSettings) -> list[str]:
    """What it may be called in Host: where it listens, this machine, where people reach it, and what
    the settings name."""
    addresses = (urlsplit(one).hostname for one in (wanted.api, wanted.ui))
    found = [wanted.host, socket.gethostname(), socket.getfqdn(), *addresses, *wanted.names]
    return [name for name in found if name]


if __name__ == "__main__":
    main()
