"""LiveDatabase of processes: whoever claims or leases something says regularly that it is at work."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable

from sqlalchemy import Connection, bindparam, delete, select, text

from storage.catalogue.database import Database, insert_or
from storage.catalogue.process import host_of_machine
from storage.catalogue.tables import PROCESS
from storage.errors import StoreUnavailable

__all__ = ["HEARTBEAT_INTERVAL_S", "LEASE_TTL_S", "Heartbeat", "LiveDatabase"]

_LOG = logging.getLogger(__name__)
HEARTBEAT_INTERVAL_S = 20.0
LEASE_TTL_S = 120.0
"""A process without a heartbeat for so long has lost its claims and leases."""
_SAFETY_MARGIN_S = 30.0  # the holder stops this much earlier than others may take over
_FORGET_AFTER_S = 7 * 86400.0
_LAST_HEARTBEAT = select(PROCESS.c.heartbeat).where(PROCESS.c.owner == bindparam("who"))
_BEAT = insert_or(
    PROCESS, ("owner", "host", "heartbeat"), ("owner",),
    "DO UPDATE SET host = excluded.host, heartbeat = excluded.heartbeat",
)  # fmt: skip
_FORGET = delete(PROCESS).where(PROCESS.c.heartbeat < bindparam("before"))


class Heartbeat:
    """The heartbeat of this process towards one database; shared by all views of a catalogue."""

    def __init__(self, beat: Callable[[], bool], steady_clock_s: Callable[[], float]) -> None:
        self._beat = beat
        self._steady_clock_s = steady_clock_s
        self._last_s: float | None = None
        self._interruptions = 0
        self._lock = threading.Lock()
        self._ended: threading.Event | None = None

    def start(self, *, in_background: bool) -> bool:
        """Beat for the first time; then a thread does. Whether it was. Raises StoreUnavailable."""
        with self._lock:
            if self._last_s is not None:
                return False
            self._renew()
            if in_background:
                self._ended = threading.Event()
                threading.Thread(
                    target=self._loop, args=(self._ended,), name="heartbeat", daemon=True
                ).start()
            return True

    def beat(self) -> None:
        """Renew the heartbeat now. Raises StoreUnavailable."""
        with self._lock:
            self._renew()

    def _renew(self) -> None:
        continued = self.fresh
        sent_s = self._steady_clock_s()  # before, not after: the answer may take long
        # The database knows better where this machine's clock stood still, as that of a paused guest does.
        continued = self._beat() and continued
        if not continued:
            self._interruptions += 1  # others may have taken over meanwhile: every lease asks again
        self._last_s = sent_s

    @property
    def fresh(self) -> bool:
        """Whether nobody else can have taken over what this process holds."""
        if self._last_s is None:
            return False
        return self._steady_clock_s() - self._last_s < LEASE_TTL_S - _SAFETY_MARGIN_S

    @property
    def interruptions(self) -> int:
        """How often the heartbeat had stopped for too long; a lease from before must be confirmed."""
        return self._interruptions

    def stop(self) -> bool:
        """No more beats. Whether there were any."""
        with self._lock:
            started, self._last_s = self._last_s is not None, None
            if self._ended is not None:
                self._ended.set()
                self._ended = None
        return started

    def _loop(self, ended: threading.Event) -> None:
        while not ended.wait(HEARTBEAT_INTERVAL_S):
            with self._lock:
                if ended.is_set():
                    return
                try:
                    self._renew()
                except StoreUnavailable:
                    continue  # the next beat may reach it; until then ``fresh`` runs out by itself
                except Exception:
                    _LOG.exception("the heartbeat failed in an unknown way; it goes on")


_users: Counter[tuple[str, str]] = Counter()
"""Catalogues in this process that keep one heartbeat: the last to close takes its row away."""
_users_lock = threading.Lock()


def _count_user(key: tuple[str, str]) -> None:
    with _users_lock:
        _users[key] += 1


def _forget_user(key: tuple[str, str]) -> bool:
    """Whether it was the last one."""
    with _users_lock:
        _users[key] -= 1
        return _users[key] <= 0


class LiveDatabase(Database):
    """Who is at work, and who gives no sign of it any more."""

    _heartbeat: Heartbeat | None = None
    with_each_heartbeat: Callable[[Connection], None] = staticmethod(lambda _connection: None)
    """What else is done with each heartbeat."""

    def owner(self) -> str:
        """This process, as it signs its claims; from the first claim on its heartbeat is kept up."""
        if self.heartbeat.start(in_background=self.runtime.background_heartbeat):
            _count_user(self._users_key())
        return self.runtime.owner()

    def _users_key(self) -> tuple[str, str]:
        return str(self.engine.url), self.runtime.owner()

    @property
    def heartbeat(self) -> Heartbeat:
        """This process's heartbeat."""
        if self._heartbeat is None:
            self._heartbeat = Heartbeat(self._write_heartbeat, self.runtime.steady_clock_s)
        return self._heartbeat

    def close(self) -> None:
        """Give back the connections; this process holds nothing any more."""
        if self._heartbeat is not None:
            last = self._heartbeat.stop() and _forget_user(self._users_key())
            if last:
                try:
                    with self.write() as connection:
                        mine = PROCESS.c.owner == self.runtime.owner()
                        connection.execute(delete(PROCESS).where(mine))
                except StoreUnavailable:
                    pass  # it expires by itself
        super().close()

    def _write_heartbeat(self) -> bool:
        """Whether nobody could have taken this process for dead since the last one."""
        with self.write(fenced=False) as connection:
            now = self._now_ms(connection)
            values = {"owner": self.runtime.owner(), "host": host_of_machine(), "heartbeat": now}
            last = connection.execute(_LAST_HEARTBEAT, {"who": values["owner"]}).scalar()
            connection.execute(_BEAT, values)
            connection.execute(_FORGET, {"before": now - int(_FORGET_AFTER_S * 1000)})
            self.with_each_heartbeat(connection)
        return last is not None and now - last < LEASE_TTL_S * 1000

    def _now_ms(self, connection: Connection) -> int:
        """The database's clock where it has one: machines disagree, and only differences count."""
        if connection.dialect.name == "postgresql":
            now = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
            return int(connection.execute(now).scalar_one())
        return int(self.runtime.wall_clock_s() * 1000)

    def is_live(self, connection: Connection, owner: str) -> bool:
        """Whether the process that signed a claim may still be at work."""
        if owner.partition(":")[0] == self.runtime.owner().partition(":")[0]:
            return not self.runtime.seen_dead(owner)  # the same machine: the system knows, no clock does
        found = connection.execute(_LAST_HEARTBEAT, {"who": owner}).scalar()
        return found is not None and self._now_ms(connection) - found < LEASE_TTL_S * 1000

    def is_alive(self, owner: str) -> bool:
        """As ``is_live``, asked by itself."""
        with self.transaction() as connection:
            return self.is_live(connection, owner)
