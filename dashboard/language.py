"""English and Chinese: the texts of the pages, and which of the two somebody wants."""

from __future__ import annotations

import gettext
import io
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from babel import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from starlette.requests import Request

__all__ = ["LANGUAGES", "choose_language", "translations"]

_MAX_RANGES = 32  # of a header that anybody may send
LANGUAGES = {"en": "English", "zh": "中文"}


@cache
def translations(language: str) -> gettext.NullTranslations:
    """The texts in a language; English is what the templates say."""
    if language == "en":
        return gettext.NullTranslations()
    source = files("dashboard").joinpath("locales", f"{language}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(source)))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def choose_language(request: Request) -> str:
    """What the address asks for, else the cookie, else what the browser likes best of what we have."""
    for wanted in (request.query_params.get("lang"), request.cookies.get("lang")):
        if wanted in LANGUAGES:
            return str(wanted)
    wanted_first = sorted(_weighted(request.headers.get("accept-language", "")), reverse=True)
    found = negotiate_locale([tag for _, _, tag in wanted_first], list(LANGUAGES), sep="-")
    return found or "en"


def _weighted(header: str) -> Iterator[tuple[float, int, str]]:
    """(weight, place from the end, language) of each range in Accept-Language (RFC 9110 §12.5.4)."""
    for place, part in enumerate(header.split(",")[:_MAX_RANGES]):
        tag, _, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if 0 < quality <= 1:
            yield quality, -place, tag.strip()
