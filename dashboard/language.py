"""English and Chinese: the texts of the pages, and which of the two somebody wants."""

from __future__ import annotations

import gettext
import io
from functools import cache
from importlib.resources import files

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from starlette.requests import Request

__all__ = ["LANGUAGES", "choose_language", "translations"]

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
    """What the address asks for, else the cookie, else the browser's first that we have."""
    for wanted in (request.query_params.get("lang"), request.cookies.get("lang")):
        if wanted in LANGUAGES:
            return str(wanted)
    for part in request.headers.get("accept-language", "").split(","):
        primary = part.partition(";")[0].strip().lower().partition("-")[0]
        if primary in LANGUAGES:
            return primary
    return "en"
