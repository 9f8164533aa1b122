"""A proxy that fails on purpose, between boto3 and an S3 server. Loopback only, seeded, counted."""

from __future__ import annotations

import http.client
import random
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

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
_ERRORS = {"500": "InternalError", "503": "SlowDown", "429": "TooManyRequests"}
_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"}
_IDLE = 2.0  # seconds after which a connection to the server is not used again


@dataclass(frozen=True)
class Asked:
    """One request: ``number`` counts all of them, ``nth`` those of this method and target."""

    method: str
    path: str
    number: int
    nth: int
    body: int

    @property
    def kind(self) -> str:
        """The method, but LIST for a listing of keys and PART, BEGIN, END for a multipart upload."""
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "list-type" in query:
            return "LIST"
        if "partNumber" in query:
            return "PART"
        if "uploads" in query:
            return "BEGIN"
        return "END" if self.method == "POST" and "uploadId" in query else self.method


Script = Callable[[Asked], str | None]
"""Says which fault a request meets, None where it passes."""


def seeded(rate: float, seed: int) -> Script:
    """A share of the requests meets a fault; the same ones in every run, however threads are timed."""

    def choose(asked: Asked) -> str | None:
        chance = random.Random(f"{seed} {asked.method} {_stable(asked.path)} {asked.nth}")
        return chance.choice(FAULTS) if chance.random() < rate else None

    return choose


def _stable(path: str) -> str:
    """A target without what is another one in every run: the bucket, the id of an upload."""
    return re.sub(r"uploadId=[^&]*", "uploadId", path.split("/", 2)[-1])


class FaultyProxy:
    """Serves until ``close``. Also counts: ``requests`` by kind, ``seen`` by target,
    ``faults`` that really happened."""

    def __init__(self, target: str, script: Script, *, stall: float = 1.5) -> None:
        self.target = urlsplit(target)
        self.script = script
        self.stall = stall
        self.requests: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def ask(self, method: str, path: str, body: int) -> str | None:
        """Count a request; the fault it is to meet, where it can meet that one."""
        with self._lock:
            where = (method, _stable(path))
            self.seen[where] += 1
            number = self.requests.total() + 1
            asked = Asked(method, path, number, self.seen[where], body)
            self.requests[asked.kind] += 1
        fault = self.script(asked)
        if (fault == "flip request" and not body) or (
            method == "HEAD" and fault in ("cut answer", "flip answer")
        ):
            return None
        return fault

    def happened(self, fault: str) -> None:
        """Count a fault."""
        with self._lock:
            self.faults[fault] += 1

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the client or the server went away, as those of a faulty proxy do


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    owner: FaultyProxy
    _upstream: http.client.HTTPConnection | None = None
    _used = 0.0

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            with suppress(OSError, http.client.HTTPException):
                super().handle()
        finally:
            self._forget_upstream()

    def handle_expect_100(self) -> bool:
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()

    def _serve(self) -> None:
        body = self._body()  # “Expect: 100-continue” was answered when the headers were read
        fault = self.owner.ask(self.command, self.path, len(body))
        if fault == "drop before":
            return self._hang_up(fault)
        if fault == "stall":
            self.owner.happened(fault)
            time.sleep(self.owner.stall)
            return self._hang_up()
        if fault in _ERRORS:
            self.owner.happened(fault)
            text = f"<Error><Code>{_ERRORS[fault]}</Code><Message>on purpose</Message></Error>"
            return self._answer(int(fault), [("Content-Type", "application/xml")], text.encode())
        if fault == "flip request":
            self.owner.happened(fault)
            body = _flipped(body, (self.command, _stable(self.path), fault))
        status, headers, answer = self._forward(body)
        if fault == "drop after":
            return self._hang_up(fault)
        if fault == "cut answer" and len(answer) > 1:
            self._answer(status, headers, answer, sent=len(answer) // 2)
            return self._hang_up(fault)
        if fault == "flip answer" and answer:
            self.owner.happened(fault)
            answer = _flipped(answer, (self.command, _stable(self.path), fault))
        return self._answer(status, headers, answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815  (names of the library)

    def _body(self) -> bytes:
        """As it came: a chunked body keeps its framing, so that signed chunks stay as they were signed."""
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        raw = b""
        while True:
            line = self.rfile.readline()
            size = int(line.split(b";")[0], 16)
            raw += line + self.rfile.read(size + 2 if size else 0)
            if not size:
                break
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            raw += line  # trailers
        return raw + b"\r\n"

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if self._upstream is None or time.monotonic() - self._used > _IDLE:
            self._forget_upstream()
            target = self.owner.target
            self._upstream = http.client.HTTPConnection(target.hostname or "", target.port, timeout=20)
            self._upstream.connect()
            self._upstream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._upstream
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP:
                connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        self._used = time.monotonic()
        kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in {*_HOP, "transfer-encoding"}]
        return answer.status, kept, content

    def _forget_upstream(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
            self._upstream = None

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, sent: int | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD" and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])
        self.wfile.flush()

    def _hang_up(self, fault: str | None = None) -> None:
        if fault:
            self.owner.happened(fault)
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _flipped(content: bytes, where: tuple[str, str, str]) -> bytes:
    """One bit is another; which one, request, path and fault decide."""
    chance = random.Random(" ".join(where))
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]
