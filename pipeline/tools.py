"""The format tools of one installation, built in one place (``stele.wiring``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.formats.archive_look import ArchiveLook
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
    archives: ArchiveLook = field(default_factory=ArchiveLook)
    """Looks into archives among the records."""

    def close(self) -> None:
        """Stop all processes."""
        self.identifier.close()
        self.archives.close()
        if self.validation:
            self.validation.close()
