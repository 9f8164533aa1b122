"""The log of a workspace: JSON lines in ``logs/stele.jsonl``; lines for people on stderr with ``-v``.

Every line bears what its run has bound: submission, ingest id, AIP, agency, the orchestrator's run.
Other modules log with the standard library; nothing is shown or kept until a program asks for it here.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from itertools import pairwise
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

import structlog

from packages.escaping import for_json_line, for_terminal

__all__ = ["LOG_FILE", "keep_log", "show_log"]

LOG_FILE = Path("logs", "stele.jsonl")
_MAX_BYTES = 20 << 20
_KEPT = 5
"""Older files; one is put away when a process starts and finds the log larger than ``_MAX_BYTES``."""
_OURS = ("pipeline", "storage", "stele", "flows", "dashboard")
_BEFORE = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

_handlers: dict[str, logging.Handler] = {}


def keep_log(home: Path) -> None:
    """Keep what is logged from now on in a workspace; a log that cannot be written costs nothing else."""
    place = home / LOG_FILE
    known = _handlers.get("file")
    if isinstance(known, WatchedFileHandler) and known.baseFilename == str(place.absolute()):
        return
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        _put_away(place)
        os.close(os.open(place, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        handler = WatchedFileHandler(place, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return
    _use("file", handler, _as_json)


def show_log() -> None:
    """Also show it on stderr, a line each."""
    _use("stderr", logging.StreamHandler(), _as_text)


def _use(name: str, handler: logging.Handler, renderer: Any) -> None:
    """From now on, in the place of what was used under this name: a process works for one workspace."""
    handler.setFormatter(_formatter(renderer))
    before, _handlers[name] = _handlers.get(name), handler
    for logger in (logging.getLogger(one) for one in _OURS):
        if before is not None:
            logger.removeHandler(before)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    if before is not None:
        before.close()


def _put_away(place: Path) -> None:
    """Two processes that start at once may both try: what one has renamed the other does not find."""
    if not place.exists() or place.stat().st_size <= _MAX_BYTES:
        return
    names = [place, *(place.with_suffix(f".{number}.jsonl") for number in range(1, _KEPT + 1))]
    for newer, older in reversed(list(pairwise(names))):
        with suppress(FileNotFoundError):
            newer.replace(older)


def _formatter(renderer: Any) -> logging.Formatter:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_BEFORE, processors=[remove, structlog.processors.format_exc_info, renderer]
    )


def _as_json(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> str:
    return for_json_line(json.dumps(_in_order(line), ensure_ascii=False, default=str))


def _as_text(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> str:
    facts = _in_order(line)
    trace = facts.pop("exception", "")
    first = (
        f"{facts.pop('timestamp', '')} {facts.pop('level', ''):7} {for_terminal(facts.pop('event', ''))}"
    )
    rest = " ".join(f"{name}={for_terminal(value)}" for name, value in facts.items() if name != "logger")
    traced = "".join(f"\n  {for_terminal(one)}" for one in str(trace).splitlines())
    return f"{first}  {rest}".rstrip() + traced


def _in_order(line: Mapping[str, Any]) -> dict[str, Any]:
    first = ("timestamp", "level", "event")
    return {
        name: line[name] for name in (*first, *(one for one in line if one not in first)) if name in line
    }
