"""Which of the two languages somebody gets."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from dashboard.language import choose_language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.1", "en"),
        ("en;q=0.1, zh;q=0.9", "zh"),
        ("zh;q=0, en", "en"),
        ("fr, de;q=0.5", "en"),
        ("fr, zh-Hant-TW;q=0.5", "zh"),
        ("", "en"),
        ("*", "en"),
        ("zh;q=much, en;q=0.5", "en"),
        ("," * 100_000 + "zh", "en"),
    ],
)
def test_what_the_browser_likes_best(header: str, language: str) -> None:
    """Weights decide (RFC 9110 §12.5.4), not the order; nonsense decides nothing."""
    headers = [(b"accept-language", header.encode())]
    request = Request({"type": "http", "headers": headers, "query_string": b""})
    assert choose_language(request) == language
