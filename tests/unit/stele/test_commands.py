"""Every command: its help, its example, ``--json``, what a wrong word does."""

from __future__ import annotations

import shlex

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from stele.cli.command_table import every_command
from stele.cli.main import app

_ALL = [pytest.param(words, id=" ".join(words)) for words in every_command()]


@pytest.mark.parametrize("words", _ALL)
def test_help_teaches(words: tuple[str, ...]) -> None:
    """``-h`` names the command, shows an example, and offers ``--json``."""
    said = CliRunner().invoke(app, [*words, "-h"], env={"COLUMNS": "80", "NO_COLOR": "1"}).output
    assert f"Usage: stele {' '.join(words)}" in said or f"Usage: root {' '.join(words)}" in said
    assert f"Example: stele {' '.join(words)}" in said
    assert "--json" in said
    assert max(len(line) for line in said.splitlines()) <= 80


@pytest.mark.parametrize("words", _ALL)
def test_the_example_works_when_typed(words: tuple[str, ...]) -> None:
    """Its options and arguments are the command's own, and nothing is missing."""
    from importlib import import_module

    module = import_module(".".join(("stele.cli", *(word.replace("-", "_") for word in words))))
    typed = shlex.split(module.EXAMPLE)
    assert typed[: 1 + len(words)] == ["stele", *words]
    context = command = get_command(app)
    parent = None
    for word in words:
        parent = command.make_context(word, [], parent=parent, resilient_parsing=True)
        command = command.get_command(parent, word)  # type: ignore[attr-defined]
    context = command.make_context(words[-1], typed[1 + len(words) :], parent=parent)
    assert context.command.name == words[-1]


def test_the_front_door_lists_every_command_on_a_line() -> None:
    """Its help needs no module of a command, and no line of a summary breaks."""
    said = CliRunner().invoke(app, ["-h"], env={"COLUMNS": "80", "NO_COLOR": "1"}).output
    for words in every_command():
        assert any(line.startswith(f"│ {words[0]} ") for line in said.splitlines())
    commands = said[said.index("Commands") :]
    assert commands.count("\n│") == len({words[0] for words in every_command()})


@pytest.mark.parametrize(
    "typed", [["nonsense"], ["aip", "nonsense"], ["aip", "show"], ["check", "--nonsense"]]
)
def test_what_the_user_got_wrong_is_two(typed: list[str]) -> None:
    """Unknown commands and options, missing arguments."""
    assert CliRunner().invoke(app, typed).exit_code == 2
