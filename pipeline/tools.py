"""The format tools of one installation, built in one place (``stele.wiring``)."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.formats.identification import Identifier
from pipeline.formats.policy import FormatPolicy
from pipeline.formats.validation import Validation
from pipeline.viruses.clamd import Clamd

__all__ = ["Toolbox"]


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What identifies, judges and decides. What is None is not done, and that is said."""

    identifier: Identifier
    policy: FormatPolicy
    validation: Validation | None
    scanner: Clamd | None = None

    def close(self) -> None:
        """Stop all processes."""
        self.identifier.close()
        if self.validation:
            self.validation.close()
