"""Hostile text through every sink: shown, and never obeyed."""

from __future__ import annotations

import io
import json
import re
from email import message_from_string, policy
from email.message import EmailMessage

import pytest
from lxml import etree

from dashboard.rendering import _environment
from packages.escaping import for_json_line, for_log, for_mail_header, for_markdown, for_page, for_terminal
from packages.paths import safe_in_xml
from stele.cli.output import _SafeConsole, data

HOSTILE = (
    "a\n\n- Outcome: **stored**\r\n# heading\x1b[31mred\x1b]0;title\x07\x9b2Jclear\u202egnp.exe\u2028line\x00\x7f"
    " <script>alert(1)</script> [link](http://evil.invalid) ![x](http://evil.invalid/x) | cell | `code`"
    " [bold]rich[/] {{ 7*7 }} &amp; _em_ __strong__ \udc80 =1+1 \r\nBcc: everyone@evil.invalid"
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("sink", [for_terminal, for_log, for_markdown, for_mail_header])
def test_one_line_without_control_characters(sink: object) -> None:
    """Whatever is in it."""
    said = sink(HOSTILE)  # type: ignore[operator]
    assert not _CONTROL.search(said)
    assert "\\x1b" in said
    said.encode("utf-8")


def test_markdown_is_shown_as_it_is() -> None:
    """No emphasis, no link, no picture, no HTML, no cell and no code can be made of it."""
    said = for_markdown(HOSTILE)
    unescaped = re.sub(r"\\.", "", said)
    for mark in ("*", "[", "]", "<", ">", "|", "`", "&"):
        assert mark not in unescaped, mark
    assert for_markdown("archive_2026_list.txt") == "archive_2026_list.txt"
    assert for_markdown("_em_") == "\\_em\\_"
    assert for_markdown("档案 (1).pdf") == "档案 (1).pdf"


def test_a_terminal_obeys_nothing() -> None:
    """Not through ``data``, and not where a text reaches the console some other way."""
    for text in (data(HOSTILE), HOSTILE.replace("[", "(").replace("\udc80", "")):
        out = io.StringIO()
        console = _SafeConsole(file=out, force_terminal=True, width=400, color_system=None)
        console.print(text)
        assert not _CONTROL.search(out.getvalue().replace("\n", ""))
    out = io.StringIO()
    _SafeConsole(file=out, width=4000).print(data(HOSTILE))
    assert out.getvalue().count("\n") == 1
    assert "[bold]rich[/]" in out.getvalue()


def test_a_line_of_json_is_the_same_text() -> None:
    """For a program; and a terminal that shows it obeys nothing."""
    text = HOSTILE.replace("\udc80", "")
    line = for_json_line(json.dumps({"name": text}, ensure_ascii=False))
    assert json.loads(line) == {"name": text}
    assert not _CONTROL.search(line)


def test_a_page_escapes_it() -> None:
    """Through the dashboard's own templates' environment."""
    page = _environment("en").from_string('<p title="{{ text }}">{{ text }}</p>').render(text=HOSTILE)
    assert "<script>" not in page
    assert "49" not in page
    assert not _CONTROL.search(page.replace("\n", "").replace("\t", ""))
    assert for_page("two\nlines") == "two\nlines"


def test_xml_holds_it() -> None:
    """What XML cannot carry is replaced, the rest comes back."""
    root = etree.Element("r")
    root.text = safe_in_xml(HOSTILE)
    assert "script" not in [child.tag for child in etree.fromstring(etree.tostring(root))]


def test_a_mail_keeps_its_headers() -> None:
    """No field is added, and none is refused by the library."""
    mail = EmailMessage()
    mail["Subject"] = for_mail_header(HOSTILE)
    mail.set_content("x")
    back = message_from_string(mail.as_string(), policy=policy.default)
    assert back["Bcc"] is None
    assert sorted(set(back.keys())) == sorted(
        {"Subject", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"}
    )
