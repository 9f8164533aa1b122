"""docs/reference/ocfl-codes.md says of every code whether it is checked, and is right."""

import re
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent.parent.parent
_ROW = re.compile(r"^\| `([EW]\d{3})` \| [^|]+ \| ([^|]+) \|([^|]*)\|$", re.MULTILINE)
# Numbers no version of the specification uses.
_UNUSED = {"E065", "E109", "W006"}


def _page() -> dict[str, tuple[str, str]]:
    text = (_ROOT / "docs/reference/ocfl-codes.md").read_text("utf-8")
    return {code: (checked, remark.strip()) for code, checked, remark in _ROW.findall(text)}


def test_every_code_of_the_specification_is_on_the_page() -> None:
    """E001 to E112 and W001 to W016, of 1.0 and 1.1 together."""
    codes = {f"E{n:03}" for n in range(1, 113)} | {f"W{n:03}" for n in range(1, 17)}
    assert set(_page()) == codes - _UNUSED


def test_the_page_and_the_code_agree() -> None:
    """A code is reported somewhere exactly when the page says that it is checked."""
    reported: set[str] = set()
    for source in (_ROOT / "storage/ocfl/validation").glob("*.py"):
        reported |= set(re.findall(r'"([EW]\d{3})"', source.read_text("utf-8")))
    assert reported == {code for code, (checked, _) in _page().items() if checked == "yes"}


def test_what_is_not_checked_has_its_reason() -> None:
    """“no” and “as E056” need a remark."""
    assert not [code for code, (checked, remark) in _page().items() if checked == "no" and not remark]
