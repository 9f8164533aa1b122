"""What no page shows until it happens: an empty table, a rare state."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

import dashboard
from dashboard.rendering import _environment
from pipeline.intake.state import NightlyState
from storage.states import AipState, AttemptState, CopyState, Outcome

_TEMPLATES = sorted((Path(dashboard.__file__).parent / "templates").glob("*.html"))
_TABLE = re.compile(r"<thead>(.*?)</thead>(?:(?!<thead>).)*?colspan=\"(\d+)\" class=\"none\"", re.DOTALL)
_STATES: list[StrEnum] = [*AipState, *AttemptState, *CopyState, *NightlyState, *Outcome]
_STATES.remove(Outcome.ACCEPTABLE)  # the answer of a check, which no page shows


@pytest.mark.parametrize("template", _TEMPLATES, ids=lambda path: path.name)
def test_the_row_of_an_empty_table_is_as_wide_as_its_head(template: Path) -> None:
    """Who adds a column widens it too."""
    for head, width in _TABLE.findall(template.read_text("utf-8")):
        if "{%" not in head:
            assert head.count("<th ") == int(width), head


@pytest.mark.parametrize("state", _STATES, ids=lambda state: f"{type(state).__name__}.{state.name}")
def test_every_state_has_its_word(state: StrEnum) -> None:
    """In Chinese too: what is not translated stands there in Latin letters."""
    parts = _environment("zh").get_template("parts.html").module
    shown = re.sub(r"<[^>]*>", "", str(parts.state(str(state))))  # type: ignore[attr-defined]
    assert not re.search("[a-zA-Z]", shown), shown
