"""The catalogue as the pipeline sees it, put together from its parts by subject."""

from __future__ import annotations

from storage.catalogue.copies import CopyRecords
from storage.catalogue.holdings import Holdings
from storage.catalogue.nights import NightRecords
from storage.catalogue.removals import Removals


class Catalogue(NightRecords, Holdings, CopyRecords, Removals):
    """A database by SQLAlchemy URL. Every method is one transaction, and raises StoreUnavailable."""
