"""One connection to clamd, in the words of its protocol (clamd(8)).

Every connection is an IDSESSION: clamd numbers its answers, so an answer that comes late or out of
turn is never taken for the answer about another file. Over a unix socket the open file itself is
handed over (FILDES): clamd needs no permission on the path, nobody can swap the file in between,
and nothing is copied. Over TCP the bytes are sent (INSTREAM).
"""

from __future__ import annotations

import os
import re
import select
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass

__all__ = ["Address", "ClamdGone", "ClamdTooSlow", "Session"]

_CHUNK = 256 << 10
_LONGEST_ANSWER = 64 << 10
_ANSWER = re.compile(r"(\d+): (.*)", re.DOTALL)


class ClamdGone(Exception):
    """No connection, or it ended without a whole answer to what was asked."""


class ClamdTooSlow(Exception):
    """No answer within the time given."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where clamd listens: a unix socket's path, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``unix:/path``, ``/path`` or ``tcp:host:port``. Raises ValueError."""
        path = text.removeprefix("unix:")
        if path.startswith("/"):
            return cls(path=path)
        host, _, port = text.removeprefix("tcp:").rpartition(":")
        if not text.startswith("tcp:") or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"“{text}” is not unix:/path, /path or tcp:host:port")
        return cls(host=host.strip("[]"), port=int(port))

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"tcp:{self.host}:{self.port}"


class Session:
    """A connection on which one question at a time is asked. Raises ClamdGone, ClamdTooSlow.

    Once either was raised the session is of no more use. ``abort`` is for other threads.
    """

    def __init__(self, address: Address, seconds: float) -> None:
        self.usable = True
        self._address = address
        self._asked = 0
        self._received = bytearray()
        self._end = time.monotonic() + seconds
        try:
            if address.path:
                self._socket = socket.socket(socket.AF_UNIX)
                try:
                    self._socket.settimeout(seconds)
                    self._socket.connect(address.path)
                except OSError:
                    self._socket.close()
                    raise
            else:
                self._socket = socket.create_connection((address.host, address.port), seconds)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, ValueError) as error:  # ValueError: no name for a host
            raise ClamdGone(f"cannot be reached: {getattr(error, 'strerror', '') or error}") from None
        try:
            self._send(b"zIDSESSION\0")
        except Exception:
            self.close()
            raise

    def command(self, name: str, seconds: float) -> str:
        """The answer to a command without arguments."""
        self._begin(seconds)
        self._send(f"z{name}\0".encode())
        return self._answer()

    def scan(self, file: int, seconds: float) -> str:
        """Clamd's word on an open file. An OSError is the file's own: it cannot be read."""
        self._begin(seconds)
        if self._address.path:
            self._send(b"zFILDES\0")
            try:
                self._remaining()
                socket.send_fds(self._socket, [b"\0"], [file])
            except OSError as error:
                raise self._gone(error) from None
            return self._answer()
        return self._stream(file)

    def abort(self) -> None:
        """End the session from another thread: whoever waits in it gets ClamdGone."""
        self.usable = False
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the session."""
        self.usable = False
        self._socket.close()

    def _begin(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._asked += 1

    def _stream(self, file: int) -> str:
        """Send the bytes; leave off where clamd already answers, because it wants no more."""
        early = select.poll()
        early.register(self._socket, select.POLLIN)
        at = 0
        try:
            self._send(b"zINSTREAM\0")
            while chunk := os.pread(file, _CHUNK, at):
                if early.poll(0):
                    return self._refusal()
                self._send(struct.pack(">I", len(chunk)) + chunk)
                at += len(chunk)
            self._send(struct.pack(">I", 0))
        except ClamdGone as error:
            # Past its StreamMaxLength clamd answers and closes at once, and the answer is lost
            # when our bytes hit the closed door before we have read it.
            with suppress(ClamdGone, ClamdTooSlow):
                return self._refusal()
            raise ClamdGone(f"{error}, {at:,} bytes sent") from None
        except OSError:
            self.usable = False  # it still waits for the rest
            raise
        return self._answer()

    def _refusal(self) -> str:
        """An answer before all was sent; it can be nothing but an error."""
        self.usable = False  # what clamd has not read it would take for commands
        answer = self._answer()
        if not answer.endswith("ERROR"):
            raise ClamdGone("it answered before it had all")
        return answer

    def _send(self, data: bytes) -> None:
        try:
            self._remaining()
            self._socket.sendall(data)
        except OSError as error:
            raise self._gone(error) from None

    def _answer(self) -> str:
        while (end := self._received.find(b"\0")) < 0:
            try:
                self._remaining()
                data = self._socket.recv(4096)
            except OSError as error:
                raise self._gone(error) from None
            if not data or len(self._received) > _LONGEST_ANSWER:
                raise self._gone(None)
            self._received += data
        text = self._received[:end].decode("utf-8", "replace")
        del self._received[: end + 1]
        match = _ANSWER.fullmatch(text)
        if match is None or int(match[1]) != self._asked:
            self.usable = False
            raise ClamdGone(f"it answered out of turn: {text[:200]!r}")
        return match[2]

    def _remaining(self) -> None:
        """Let the next step take what is left of the time."""
        self._socket.settimeout(max(self._end - time.monotonic(), 0.000_001))

    def _gone(self, error: OSError | None) -> ClamdGone | ClamdTooSlow:
        self.usable = False
        if isinstance(error, TimeoutError):
            return ClamdTooSlow("no answer in time")
        so_far = bytes(self._received[:200]).decode("utf-8", "replace").strip()
        why = (error.strerror or str(error)) if error else "it closed the connection"
        return ClamdGone(f"{why} after “{so_far}”" if so_far else why)
