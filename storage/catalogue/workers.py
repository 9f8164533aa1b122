"""Which processes live, on one machine or many: what a dead one had claimed may be taken over.

On the same machine the system knows. SQLite serves one machine only. On PostgreSQL every process
that claims something says each minute that it lives, by the database's clock; one that has not for
ten minutes is believed dead. A process that lives and cannot reach the database for so long may find
its claim taken: storage still commits each object once, for the last write of a version decides.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql

from storage.catalogue.database import Database
from storage.catalogue.tables import WORKER
from storage.errors import StoreUnavailable

__all__ = ["Workers", "owner_now", "owner_of"]

BEAT = 60.0  # seconds between two signs of life
BELIEVED = timedelta(minutes=10)
_FORGOTTEN = timedelta(days=7)


class Workers(Database):
    """Signs of life, and who gives none any more."""

    _beating: threading.Event | None = None

    def owner(self) -> str:
        """This process, as it signs its claims; from the first claim on it gives signs of life."""
        if self._engine.dialect.name == "postgresql" and self._beating is None:
            self._beat()
            self._beating = threading.Event()
            threading.Thread(target=self._go_on, args=(self._beating,), daemon=True).start()
        return owner_now()

    def close(self) -> None:
        """Give back the connections; this process claims nothing any more."""
        if self._beating is not None:
            self._beating.set()
            self._beating = None
        super().close()

    def _go_on(self, ended: threading.Event) -> None:
        while not ended.wait(BEAT):
            with suppress(StoreUnavailable):  # the database is away; the next beat may find it
                self._beat()

    def _beat(self) -> None:
        put = postgresql.insert(WORKER).values(owner=owner_now(), seen=func.now())
        with self._transaction() as connection:
            connection.execute(
                put.on_conflict_do_update(index_elements=["owner"], set_={"seen": func.now()})
            )
            connection.execute(delete(WORKER).where(WORKER.c.seen < func.now() - _FORGOTTEN))

    def _alive(self, owner: str) -> bool:
        """Whether the process that signed a claim may still be at work."""
        host = owner.rsplit(":", 2)[0]
        if host == socket.gethostname():
            return _process_alive(owner)
        if self._engine.dialect.name == "sqlite":
            return False  # another host name is a former life of this machine: a container begun anew
        fresh = select(WORKER.c.owner).where(WORKER.c.owner == owner, WORKER.c.seen > func.now() - BELIEVED)
        with self._transaction() as connection:
            return connection.execute(fresh).first() is not None


def owner_now() -> str:
    """This process, recognisable after its death: host, process id, start time in clock ticks."""
    return owner_of(os.getpid())


def owner_of(pid: int) -> str:
    """The same for another process of this machine; one that is dead has no start time."""
    return f"{socket.gethostname()}:{pid}:{_start_ticks(pid)}"


def _start_ticks(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "?"


def _process_alive(owner: str) -> bool:
    _, pid, ticks = owner.rsplit(":", 2)
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return ticks == _start_ticks(int(pid))
