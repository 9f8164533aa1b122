"""Unit tests start no process and sleep nowhere: whoever does belongs to ``integration/``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

_STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"})
_LONGEST_SLEEP_S = 0.05
_seen: list[str] | None = None


def _watch(event: str, _arguments: tuple[Any, ...]) -> None:
    if _seen is not None and event in _STARTS:
        _seen.append(event)


sys.addaudithook(_watch)  # for good: hooks cannot be taken away


@pytest.fixture(autouse=True)
def _no_process_and_no_sleep(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    global _seen
    really_sleep = time.sleep

    def sleep(seconds: float) -> None:
        if seconds > _LONGEST_SLEEP_S and _seen is not None:
            _seen.append(f"sleep of {seconds} s")
        really_sleep(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    seen = _seen = []
    yield
    _seen = None
    assert not seen, "a unit test starts no process and sleeps nowhere"
