"""What every part of the catalogue stands on."""

from __future__ import annotations

from storage.catalogue.heartbeats import LiveDatabase

__all__ = ["Repository"]


class Repository:
    """The records of one subject. Every method is one transaction, and raises StoreUnavailable."""

    def __init__(self, database: LiveDatabase) -> None:
        self._database = database
