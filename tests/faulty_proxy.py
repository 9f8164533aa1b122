"""A proxy that fails on purpose, between boto3 and an S3 server. Loopback only, seeded, counted."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

FAULTS = (
    "drop before",  # the request never arrives
    "drop after",  # it took effect, the answer is lost
    "stall",  # silence, then nothing
    "500",
    "503",
    "429",
    "cut answer",  # the body ends early
    "flip answer",  # a byte of the body is another
    "flip request",  # the server gets another byte than was sent
)
_HOP = {"connection", "keep-alive", "transfer-encoding", "proxy-connection", "te", "trailer", "upgrade"}


class FaultyProxy:
    """Serves until ``close``. ``rate`` is the share of requests that meet a fault."""

    def __init__(self, target: str, *, rate: float, seed: int, stall: float = 1.5) -> None:
        self.target = urlsplit(target)
        self.rate = rate
        self.stall = stall
        self.requests: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def choose(self, method: str, path: str) -> str | None:
        """The fault this request meets, if any."""
        with self._lock:
            self.requests["LIST" if method == "GET" and "list-type" in path else method] += 1
            if self._chance.random() >= self.rate:
                return None
            fault = self._chance.choice(FAULTS)
            self.faults[fault] += 1
            return fault

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FaultyProxy

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        with suppress(OSError):  # the client went away, as clients of a faulty proxy do
            super().handle()

    def _serve(self) -> None:
        fault = self.owner.choose(self.command, self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault == "drop before":
            return self._hang_up()
        if fault == "stall":
            time.sleep(self.owner.stall)
            return self._hang_up()
        if fault in ("500", "503", "429"):
            return self._answer(int(fault), {}, b"")
        if fault == "flip request" and body:
            body = _flipped(body)
        status, headers, answer = self._forward(body)
        if fault == "drop after":
            return self._hang_up()
        if fault == "cut answer" and len(answer) > 1:
            self._answer(status, headers, answer, sent=len(answer) // 2)
            return self._hang_up()
        if fault == "flip answer" and answer:
            answer = _flipped(answer)
        return self._answer(status, headers, answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815  (names of the library)

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        target = self.owner.target
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=20)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP | {"expect"}}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP}
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, sent: int | None = None) -> None:
        self.send_response_only(status)
        length = headers.pop("Content-Length", headers.pop("content-length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()


def _flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 0x20]) + content[at + 1 :]
