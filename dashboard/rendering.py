"""Pages as HTML: templates, numbers and times as people of a language read them."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.numbers import format_decimal
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from dashboard.access import Person
from dashboard.language import LANGUAGES, choose_language, translations
from packages.escaping import for_page
from packages.paths import visible
from packages.sizes import size_text

__all__ = ["PageContext", "render"]


@dataclass(frozen=True, slots=True)
class PageContext:
    """What every page needs besides its own facts."""

    archive_name: str
    zone: ZoneInfo
    person: Person
    prefect: str
    """The Prefect UI's address, or nothing."""


def render(
    request: Request,
    context: PageContext,
    template: str,
    page: Any,
    *,
    status: int = 200,
    refresh: bool = False,
) -> HTMLResponse:
    """One page in the language somebody wants; ``page`` is all that the template may see of the archive."""
    language = choose_language(request)
    facts = {one.name: getattr(page, one.name) for one in fields(page)}
    html = _environment(language).get_template(template).render(
        **facts, context=context, language=language, languages=LANGUAGES, refresh=refresh,
        path=request.url.path, in_language=lambda other: _in_language(request, other),
        moment=lambda text: _moment(text, context.zone, language),
    )  # fmt: skip
    response = HTMLResponse(html, status_code=status)
    if request.query_params.get("lang") in LANGUAGES:
        response.set_cookie("lang", language, max_age=365 * 86400, httponly=True, samesite="lax")
    return response


@cache
def _environment(language: str) -> Environment:
    made = Environment(
        loader=PackageLoader("dashboard"), autoescape=True, undefined=StrictUndefined, finalize=_harmless,
        extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    locale = {"zh": "zh_Hans_CN"}.get(language, "en_GB")
    made.filters["number"] = lambda value: format_decimal(value, locale=locale)
    made.filters["size"] = _size
    made.filters["visible"] = visible
    made.filters["last_day"] = _last_day
    made.filters["query"] = lambda facts: urlencode({k: v for k, v in facts.items() if v})
    return made


def _harmless(value: object) -> object:
    """What a template puts out, before it is escaped for HTML."""
    return for_page(value) if type(value) is str else value


def _size(value: int) -> str:
    """Bytes in words; the unit is never parted from its number."""
    return size_text(value).replace(" ", "\u00a0")


def _last_day(month: str) -> str:
    """Of ``2026-02`` the day 2026-02-28."""
    year, number = month.split("-")
    return f"{month}-{monthrange(int(year), int(number))[1]:02}"


def _moment(text: str, zone: ZoneInfo, language: str) -> str:
    """A time of the catalogue as people read it."""
    try:
        moment = datetime.fromisoformat(text).astimezone(zone)
    except ValueError:
        return text
    if language == "zh":
        return format_datetime(moment, "y年M月d日 HH:mm", locale="zh_Hans_CN")
    return format_datetime(moment, "d MMM y, HH:mm", locale="en_GB")


def _in_language(request: Request, other: str) -> str:
    asked = [(key, value) for key, value in request.query_params.multi_items() if key != "lang"]
    return f"{request.url.path}?{urlencode([*asked, ('lang', other)])}"
