"""The stores of an archive and what each must hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from storage.ocfl.repository import OcflRepository

__all__ = ["ArchivalStore", "Role"]


class Role(StrEnum):
    """How much depends on a store."""

    REQUIRED = "required"  # nothing is “stored” before this store holds a verified copy
    SECONDARY = "secondary"  # written when it can be; what it lacks is pending, and replication creates it


@dataclass(frozen=True, slots=True)
class ArchivalStore:
    """One store of the archive. ``place`` says in words where it is: site, provider."""

    repository: OcflRepository
    kind: str
    place: str = ""
    role: Role = Role.REQUIRED
    audited: bool = True

    @property
    def name(self) -> str:
        """The name operators know it by."""
        return self.repository.store.name
