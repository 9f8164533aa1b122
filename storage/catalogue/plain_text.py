"""Text as every database takes it: PostgreSQL refuses NUL, and no encoding has lone surrogates."""

from __future__ import annotations

from sqlalchemy import Dialect, Text, TypeDecorator

__all__ = ["PlainText"]


class PlainText(TypeDecorator[str]):
    """Text in which what no database can keep is replaced: an odd name must not fail an ingest."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """On the way in."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
