"""ClamAV's daemon: files handed over as open descriptors, or as a stream to a distant one.

A descriptor needs no path and no permission on the daemon's side and is not copied, which is also
the fastest way by far. An over-large file is answered “OK” by a daemon that is not told otherwise,
so what is too large for the engine is never asked about.
"""

from __future__ import annotations

import array
import os
import re
import socket
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import ToolFailed
from pipeline.formats.tool import ToolState
from pipeline.virus.result import Scanned, ScanResult

__all__ = ["Clamd"]

ENGINE_LIMIT = 2_147_483_645
"""Bytes above which the engine looks at no file, whatever it is configured for."""
_STREAM_LIMIT = 100 << 20  # clamd's own default of StreamMaxLength
_CHUNK = 1 << 20
_CONNECT = 10.0
_SLOWEST = 2 << 20  # bytes a second
_ANSWER_LIMIT = 1 << 16
_NOT_LOOKED_AT = ("Heuristics.Limits.Exceeded", "Heuristics.Encrypted")
_DATE = re.compile(r"ClamAV ([\w.\-]+)(?:/(\d+)/(.+))?")
# In two halves: scanners on the way must not take this very file for a virus.
_EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-" + "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class _Gone(Exception):
    """The connection broke or the daemon does not answer."""


class Clamd:
    """A clamd at ``unix:/path`` (or a plain absolute path), or at ``tcp:host:port``. Thread-safe.

    ``stream_limit`` is its StreamMaxLength in bytes, for a distant one only. ``patience`` are the
    seconds a file may take besides those for its bytes.
    """

    def __init__(
        self,
        address: str,
        *,
        connections: int = 4,
        stream_limit: int = _STREAM_LIMIT,
        patience: float = 60.0,
    ) -> None:
        self._address = address.removeprefix("unix:")
        self._local = self._address.startswith("/")
        if not self._local and not re.fullmatch(r"tcp:[^:]+:\d+", self._address):
            raise ValueError(f"“{address}” is no address of a clamd (unix:/path or tcp:host:port)")
        self._connections = connections
        self._limit = ENGINE_LIMIT if self._local else min(stream_limit, ENGINE_LIMIT)
        self._patience = patience
        self.version = ""
        self.signatures = ""
        self.signature_date: datetime | None = None
        self.detects = False
        """Whether it finds the harmless test file; a database of one's own may lack it."""

    def state(self) -> ToolState:
        """Asks anew each time: daemons come and go, and signatures get old."""
        try:
            said = self._command(b"zVERSION\0")
        except _Gone as error:
            return ToolState("ClamAV", problem=f"clamd at {self._address} does not answer: {error}")
        found = _DATE.match(said)
        if not found:
            return ToolState(
                "ClamAV", problem=f"what answers at {self._address} is no clamd: “{said[:80]}”"
            )
        self.version, self.signatures = found.group(1), found.group(2) or ""
        self.signature_date = _moment(found.group(3))
        self.detects = self._finds_the_test_file()
        return ToolState("ClamAV", self.version)

    def _finds_the_test_file(self) -> bool:
        memory = os.memfd_create("test")
        try:
            os.write(memory, _EICAR.encode())
            answer = self._ask(memory, len(_EICAR))
        except _Gone:
            return False
        finally:
            os.close(memory)
        return answer.endswith("FOUND")

    def scan(self, paths: Iterable[Path]) -> Iterator[Scanned]:
        """Results in the order of the paths, several files at once, a bounded number in flight.

        Raises ToolFailed when the daemon goes away: nothing is called clean that was not scanned.
        """
        waiting: deque[Future[Scanned]] = deque()
        with ThreadPoolExecutor(self._connections, thread_name_prefix="clamd") as pool:
            try:
                for path in paths:
                    waiting.append(pool.submit(self._one, path))
                    if len(waiting) >= 4 * self._connections:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _one(self, path: Path) -> Scanned:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            if size > self._limit:
                kind = "the engine" if self._limit == ENGINE_LIMIT else "the scanner's stream limit"
                return Scanned(
                    path, ScanResult.NOT_SCANNED, f"larger than {kind} allows ({self._limit} bytes)"
                )
            return self._judged(path, descriptor, size)
        finally:
            os.close(descriptor)

    def _judged(self, path: Path, descriptor: int, size: int) -> Scanned:
        try:
            answer = self._ask(descriptor, size)
        except TimeoutError:
            return Scanned(path, ScanResult.NOT_SCANNED, "the scanner did not answer in time")
        except _Gone:
            try:  # it may have been restarted for new signatures
                answer = self._ask(descriptor, size)
            except (TimeoutError, _Gone) as error:
                raise ToolFailed(f"clamd at {self._address} is gone: {error}") from None
        return Scanned(path, *_understood(answer))

    def _ask(self, descriptor: int, size: int) -> str:
        """The answer about an open file, read from its start."""
        seconds = self._patience + size / _SLOWEST
        with self._connected(seconds) as connection:
            try:
                if self._local:
                    connection.sendall(b"zFILDES\0")
                    rights = array.array("i", [descriptor])
                    connection.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                else:
                    self._stream(connection, descriptor)
                return _answer(connection)
            except TimeoutError:
                raise
            except OSError as error:
                raise _Gone(error.strerror or str(error)) from None

    @staticmethod
    def _stream(connection: socket.socket, descriptor: int) -> None:
        connection.sendall(b"zINSTREAM\0")
        at = 0
        try:
            while chunk := os.pread(descriptor, _CHUNK, at):
                connection.sendall(struct.pack("!L", len(chunk)) + chunk)
                at += len(chunk)
            connection.sendall(struct.pack("!L", 0))
        except (BrokenPipeError, ConnectionResetError):
            return  # it has had enough, and may have said so: the answer is read

    def _command(self, words: bytes) -> str:
        try:
            with self._connected(self._patience) as connection:
                connection.sendall(words)
                return _answer(connection)
        except OSError as error:
            raise _Gone(error.strerror or str(error)) from None

    def _connected(self, seconds: float) -> socket.socket:
        """An open connection whose every step may take ``seconds``. Raises _Gone."""
        try:
            if not self._local:
                _, host, port = self._address.split(":")
                connection = socket.create_connection((host, int(port)), timeout=_CONNECT)
            else:
                connection = self._at_socket()
        except OSError as error:
            raise _Gone(error.strerror or str(error)) from None
        connection.settimeout(seconds)
        return connection

    def _at_socket(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_CONNECT)
            connection.connect(self._address)
        except OSError:
            connection.close()
            raise
        return connection


def _answer(connection: socket.socket) -> str:
    """One answer up to its NUL. Raises _Gone when the connection ends before."""
    said = b""
    while not said.endswith(b"\0"):
        piece = connection.recv(4096)
        if not piece:
            raise _Gone("it hung up in the middle of an answer")
        said += piece
        if len(said) > _ANSWER_LIMIT:
            raise _Gone("its answer has no end")
    return said[:-1].decode("utf-8", "replace").strip()


def _understood(answer: str) -> tuple[ScanResult, str]:
    """From ``fd[10]: Eicar FOUND``, ``stream: OK``, ``… ERROR``. Anything else was no scan."""
    said = answer.partition(": ")[2] or answer
    if said == "OK":
        return ScanResult.CLEAN, ""
    if said.endswith(" FOUND"):
        name = said.removesuffix(" FOUND")
        if name.startswith(_NOT_LOOKED_AT):
            return ScanResult.NOT_SCANNED, name
        return ScanResult.INFECTED, name
    return ScanResult.NOT_SCANNED, said.removesuffix(" ERROR")[:200] or "no answer"


def _moment(text: str | None) -> datetime | None:
    """From ``Tue Nov 25 08:00:00 2026``; None where a database of one's own has no date."""
    try:
        return datetime.strptime(text or "", "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
