"""Scanning with ClamAV's daemon. “Clean” is only said of files that clamd looked at.

Clamd says OK to much that it never looked at: files over its limits and encrypted archives, unless
AlertExceedsMax and AlertEncrypted are on. Neither is visible from outside, so ``state`` finds out
with harmless probes. What clamd did not look at, by its word or by what we know of its limits, is
NOT_SCANNED, with the reason.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pipeline.errors import ToolFailed
from pipeline.viruses.answers import ClamdState, ScanResult, Word, read_version, read_word
from pipeline.viruses.probes import eicar, encrypted, nested
from pipeline.viruses.session import Address, ClamdGone, ClamdTooSlow, Session
from pipeline.viruses.zip_members import largest_zip_member

__all__ = ["Clamd", "ClamdState", "ScanResult", "Scanned"]

_LARGEST = 2_147_483_645  # ClamAV's own cap, whatever MaxFileSize says; it answers OK to larger ones
_AHEAD = 8  # files waiting for each connection
_TIMEOUT_S = 10.0  # seconds for what a living clamd answers at once, however busy it is
_BETWEEN_CALLS = 0.2  # seconds between two attempts to reach a clamd that may be starting


@dataclass(frozen=True, slots=True)
class Scanned:
    """The word on one file. ``name`` is the signature, or why it was not scanned; else empty."""

    path: Path
    result: ScanResult
    name: str = ""


class Clamd:
    """A clamd at ``unix:/path``, ``/path`` or ``tcp:host:port`` (else ValueError). Thread-safe.

    ``seconds_per_file`` should be more than its MaxScanTime: clamd goes on with a file that nobody
    waits for any more. ``file_limit`` is its MaxFileSize, 0 for none: what is larger, or has a
    larger member in a zip, is not clean, even where clamd says so. ``stream_limit`` is its
    StreamMaxLength, which holds for TCP only. (Both defaults are ClamAV's; Debian sets 25 MiB.)
    ``restart_seconds`` is how long a clamd that went away may take to come back; loading its
    signatures takes most of it. ``scratch`` is the folder of the probes: best on the disk of the
    files to scan, because a clamd under AppArmor may be denied files by where they lie.
    """

    def __init__(
        self,
        address: str,
        *,
        connections: int = 4,
        seconds_per_file: float = 300.0,
        file_limit: int = 100 << 20,
        stream_limit: int = 100 << 20,
        restart_seconds: float = 60.0,
        scratch: Path | None = None,
    ) -> None:
        self.address = Address.parse(address)
        self.connections = connections
        self.seconds_per_file = seconds_per_file
        self.file_limit = min(file_limit or _LARGEST, _LARGEST)
        self.stream_limit = None if self.address.path else stream_limit
        self.restart_seconds = restart_seconds
        self._scratch = scratch
        self._state: ClamdState | None = None

    @property
    def signature_date(self) -> datetime | None:
        """When its signatures were made, as last asked; None when it does not say."""
        return (self._state or self.state()).signature_date

    def state(self) -> ClamdState:
        """Ask anew whether it can be used: its signatures change while we run."""
        session = None
        try:
            session = Session(self.address, _TIMEOUT_S)
            self._state = self._ask_state(session)
        except (ClamdGone, ClamdTooSlow, ToolFailed) as error:
            self._state = ClamdState("ClamAV", problem=f"clamd at {self.address}: {error}")
        finally:
            if session is not None:
                session.close()
        return self._state

    def scan(self, paths: Iterable[Path]) -> Iterator[Scanned]:
        """The word on every file, in the order given, while they come.

        Raises ToolFailed when clamd is gone and stays away. Symbolic links are not followed.
        """
        run = _Run(self)
        waiting: deque[Future[Scanned]] = deque()
        pool = ThreadPoolExecutor(self.connections, thread_name_prefix="clamd")
        try:
            for path in paths:
                waiting.append(pool.submit(run.scan, path))
                while waiting and (waiting[0].done() or len(waiting) >= self.connections * _AHEAD):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            run.stop()
            pool.shutdown()

    def _ask_state(self, session: Session) -> ClamdState:
        state = read_version(session.command("VERSION", _TIMEOUT_S))
        if not state.usable:
            return state
        test = self._probe(session, eicar())
        if test.result is ScanResult.NOT_SCANNED:
            return replace(state, problem=f"clamd at {self.address} cannot scan: {test.name}")
        return replace(
            state,
            detects=test.result is ScanResult.INFECTED,
            tells_limits=self._probe(session, nested()).result is ScanResult.NOT_SCANNED,
            tells_encrypted=self._probe(session, encrypted()).result is ScanResult.NOT_SCANNED,
        )

    def _probe(self, session: Session, content: bytes) -> Word:
        try:
            with tempfile.TemporaryFile(dir=self._scratch) as file:
                file.write(content)
                file.flush()
                return read_word(session.scan(file.fileno(), _TIMEOUT_S))
        except OSError as error:
            raise ToolFailed(f"no room for a test file: {error.strerror}") from None


class _Run:
    """One scan: its connections, and what it does when they break."""

    def __init__(self, clamd: Clamd) -> None:
        self._clamd = clamd
        self._guard = threading.Lock()
        self._open: set[Session] = set()
        self._idle: list[Session] = []
        self._second_tries = threading.Lock()
        self._stopped = threading.Event()
        self._gone = ""

    def scan(self, path: Path) -> Scanned:
        """The word on one file. Raises ToolFailed."""
        try:
            # O_NONBLOCK: opening a pipe must not wait for its writer
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            return Scanned(path, ScanResult.NOT_SCANNED, f"cannot be opened: {error.strerror}")
        try:
            facts = os.fstat(file)
            word = self._too_much(facts) or self._ask(file)
            if word.result is ScanResult.CLEAN:
                word = self._unseen(file, facts.st_size) or word
        except OSError as error:
            word = Word(ScanResult.NOT_SCANNED, f"cannot be read: {error.strerror}")
        finally:
            os.close(file)
        return Scanned(path, word.result, word.name)

    def stop(self) -> None:
        """Break off whatever is still under way; nobody waits for it."""
        self._stopped.set()
        with self._guard:
            for session in self._open:
                session.abort()
            for session in self._idle:
                session.close()

    def _too_much(self, facts: os.stat_result) -> Word | None:
        """Why clamd need not even be asked."""
        limit = self._clamd.stream_limit
        if not stat.S_ISREG(facts.st_mode):
            return Word(ScanResult.NOT_SCANNED, "not a regular file")
        if facts.st_size > _LARGEST:
            return Word(ScanResult.NOT_SCANNED, f"larger than ClamAV can scan ({_LARGEST:,} bytes)")
        if limit is not None and facts.st_size > limit:
            return Word(ScanResult.NOT_SCANNED, f"larger than may be sent to clamd ({limit:,} bytes)")
        return None

    def _unseen(self, file: int, size: int) -> Word | None:
        """What clamd did not look at although it answers OK."""
        limit = self._clamd.file_limit
        larger = f"larger than ClamAV's MaxFileSize ({limit:,} bytes)"
        if size > limit:
            return Word(ScanResult.NOT_SCANNED, larger)
        if largest_zip_member(file) > limit:
            return Word(ScanResult.NOT_SCANNED, f"not all of it: what is inside is {larger}")
        return None

    def _ask(self, file: int) -> Word:
        try:
            try:
                word = read_word(self._once(file))
            except ClamdGone:
                return self._ask_again(file)
            return self._ask_again(file) if word.doubtful else word
        except ClamdTooSlow:
            self._await_clamd()
            limit = self._clamd.seconds_per_file
            return Word(ScanResult.NOT_SCANNED, f"no answer within {limit:g} seconds")

    def _ask_again(self, file: int) -> Word:
        """Over a new connection, when clamd is there again.

        One file at a time: one that makes clamd crash takes all connections with it, and must not
        take the same neighbours twice.
        """
        with self._second_tries:
            self._await_clamd()
            try:
                return read_word(self._once(file, new=True))
            except ClamdGone as error:
                self._await_clamd()
                return Word(ScanResult.NOT_SCANNED, f"clamd broke off twice on it: {error}")

    def _once(self, file: int, *, new: bool = False) -> str:
        with self._guard:
            session = self._idle.pop() if self._idle and not new else None
        session = session or Session(self._clamd.address, _TIMEOUT_S)
        with self._guard:
            self._open.add(session)
        if self._stopped.is_set():  # too late for stop() to see this one
            session.abort()
        try:
            return session.scan(file, self._clamd.seconds_per_file)
        finally:
            with self._guard:
                self._open.discard(session)
                if session.usable and not self._stopped.is_set():
                    self._idle.append(session)
                else:
                    session.close()

    def _await_clamd(self) -> None:
        """Until clamd answers a PING. Raises ToolFailed when it does not come back."""
        end = time.monotonic() + self._clamd.restart_seconds
        while not (self._gone or self._stopped.is_set()):
            try:
                self._ping()
            except (ClamdGone, ClamdTooSlow) as error:
                if time.monotonic() >= end:
                    self._gone = f"clamd at {self._clamd.address} is gone: {error}"
                self._stopped.wait(_BETWEEN_CALLS)
            else:
                return
        raise ToolFailed(self._gone or "the scan was ended")

    def _ping(self) -> None:
        session = Session(self._clamd.address, _TIMEOUT_S)
        try:
            answer = session.command("PING", _TIMEOUT_S)
        finally:
            session.close()
        if answer != "PONG":
            raise ClamdGone(f"it answered “{answer[:80]}” to a PING")
