"""Every text of the pages is there in Chinese, with the same blanks to fill."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import dashboard
from dashboard.language import translations

_FOLDER = Path(dashboard.__file__).parent
_BLANK = re.compile(r"%\((\w+)\)s|\{(\w+)\}")


def _texts() -> set[str | tuple[str, str]]:
    found = extract_from_dir(
        str(_FOLDER), [("templates/**.html", "jinja2.ext:babel_extract")],
        {"templates/**.html": {"newstyle_gettext": "true", "extensions": "jinja2.ext.i18n"}},
        keywords={"_": None, "gettext": None, "ngettext": (1, 2)},
    )  # fmt: skip
    return {text for _, _, text, _, _ in found}  # type: ignore[misc]


def test_nothing_is_missing_and_nothing_left_over() -> None:
    """A page that is half English helps nobody."""
    with (_FOLDER / "locales/zh.po").open("rb") as source:
        known = {message.id for message in read_po(source) if message.id}
    assert _texts() - known == set()
    assert known - _texts() == set()


@pytest.mark.parametrize("text", sorted(_texts(), key=str), ids=lambda text: str(text)[:40])
def test_the_same_blanks(text: str | tuple[str, str]) -> None:
    """A translation that lost its number would say nothing."""
    chinese = translations("zh")
    one, many = (text, text) if isinstance(text, str) else text
    said = chinese.gettext(one) if isinstance(text, str) else chinese.ngettext(one, many, 5)
    assert said
    assert sorted(_BLANK.findall(said)) == sorted(_BLANK.findall(many))
