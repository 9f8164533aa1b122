"""Pages without facts of the archive: the sign-in, and words for what went wrong."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MessagePage", "SignInPage"]


@dataclass(frozen=True, slots=True)
class SignInPage:
    """The form; ``failed`` is empty, ``wrong`` or ``blocked``."""

    failed: str
    name: str
    target: str


@dataclass(frozen=True, slots=True)
class MessagePage:
    """``kind`` names the sentence: ``missing``, ``forbidden``, ``unavailable``, ``broken``."""

    kind: str
    detail: str
