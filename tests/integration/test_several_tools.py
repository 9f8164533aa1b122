"""Several tools, one word: any fault counts, a tool that gave up or is missing is never a pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from packages.package_file import FileFormat
from pipeline.formats.builtin import Builtin
from pipeline.formats.tool import PASSWORD, ToolState, ValidationResult, Validity
from pipeline.formats.validation import Validation, combined

_XML = FileFormat("fmt/101", "XML", "1.0", "application/xml", "", "")
_TEXT = FileFormat("fmt/817", "JSON", "", "application/json", "", "")


class _Tool:
    """A tool that always says the same."""

    def __init__(self, validity: Validity, problem: str = "") -> None:
        self.name, self.asked, self._validity, self._problem = "Oracle", 0, validity, problem

    def state(self) -> ToolState:
        return ToolState(self.name, "1", self._problem)

    def check(self, paths: Sequence[Path], puid: str) -> list[ValidationResult]:
        self.asked += 1
        return [
            ValidationResult(self._validity, "Oracle 1", (f"said of {puid}",), {"oracle": "1"})
            for _ in paths
        ]


@pytest.fixture(scope="module")
def builtin() -> Iterator[Builtin]:
    """The real one."""
    made = Builtin()
    yield made
    made.close()


def _files(folder: Path) -> list[tuple[Path, FileFormat]]:
    (folder / "a.xml").write_text("<a/>")
    (folder / "b.txt").write_text("b")
    (folder / "c.xml").write_text("<a>")
    return [(folder / "a.xml", _XML), (folder / "b.txt", _TEXT), (folder / "c.xml", _XML)]


@pytest.mark.parametrize(
    ("said", "sound", "broken"),
    [
        (Validity.VALID, "valid", "not-valid"),
        (Validity.NOT_VALID, "not-valid", "not-valid"),
        (Validity.UNKNOWN, "well-formed", "not-valid"),
    ],
)
def test_two_tools(said: Validity, sound: str, broken: str, builtin: Builtin, tmp_path: Path) -> None:
    """One process a batch, answers in the order of the files, what nobody checks is not checked."""
    tool = _Tool(said)
    validation = Validation(builtin, [(tool, lambda known: known.puid if known is _XML else None)])
    verdicts = validation.check(_files(tmp_path))
    assert [verdict.validity for verdict in verdicts] == [sound, "not-checked", broken]
    assert tool.asked == 1
    assert verdicts[0].facts["oracle"] == "1"


def test_a_missing_tool_is_named(builtin: Builtin, tmp_path: Path) -> None:
    """It is not asked, and those who would have been shown to it can be told."""
    tool = _Tool(Validity.VALID, problem="not installed")
    validation = Validation(builtin, [(tool, lambda known: known.puid if known is _XML else None)])
    verdicts = validation.check(_files(tmp_path))
    assert [verdict.validity for verdict in verdicts] == ["well-formed", "not-checked", "not-valid"]
    assert not tool.asked
    assert [state.problem for state in validation.absent_for(_XML)] == ["not installed"]
    assert validation.absent_for(_TEXT) == ()


def test_what_is_locked_is_unknown() -> None:
    """Cipher looks like damage to one tool; the other knows that nobody can look."""
    said = combined(
        [
            ValidationResult(Validity.NOT_VALID, "A", ("bad",)),
            ValidationResult(Validity.UNKNOWN, "B", (PASSWORD,)),
        ]
    )
    assert (said.validity, said.tool) == (Validity.UNKNOWN, "B")


def test_a_tool_that_gave_up_is_heard() -> None:
    """What another tool has shown stands, with the message beside it."""
    said = combined(
        [
            ValidationResult(Validity.UNKNOWN, "A", ("the tool gave up: hung",)),
            ValidationResult(Validity.WELL_FORMED, "B", (), {"pages": "1"}),
        ]
    )
    assert (said.validity, said.tool) == (Validity.WELL_FORMED, "B")
    assert said.messages == ("the tool gave up: hung",)
