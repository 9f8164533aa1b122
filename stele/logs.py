"""The log of a workspace: JSON lines in ``logs/stele.jsonl``; lines for people on stderr with ``-v``.

Every line bears what its run has bound: submission, ingest id, AIP, agency, the orchestrator's run.
Other modules log with the standard library; nothing is shown or kept until a program asks for it here.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, MutableMapping
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
    if str(place) in _handlers:
        return
    try:
        place.parent.mkdir(mode=0o700, exist_ok=True)
        _put_away(place)
        os.close(os.open(place, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        handler = WatchedFileHandler(place, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return
    handler.setFormatter(_formatter(structlog.processors.format_exc_info, _as_json))
    _add(str(place), handler)


def show_log() -> None:
    """Also show it on stderr, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(structlog.processors.format_exc_info, _as_text))
    _add("stderr", handler)


def _add(name: str, handler: logging.Handler) -> None:
    if name not in _handlers:
        _handlers[name] = handler
        for logger in (logging.getLogger(one) for one in _OURS):
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
            logger.propagate = False


def _put_away(place: Path) -> None:
    """Two processes that start at once may both try: what is renamed already is not there any more."""
    if not place.exists() or place.stat().st_size <= _MAX_BYTES:
        return
    for number in range(_KEPT - 1, 0, -1):
        older = place.with_suffix(f".{number}.jsonl")
        if older.exists():
            older.replace(place.with_suffix(f".{number + 1}.jsonl"))
    try:
        place.replace(place.with_suffix(".1.jsonl"))
    except FileNotFoundError:
        return


def _formatter(*processors: Any) -> logging.Formatter:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_BEFORE, processors=[remove, *processors])


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
