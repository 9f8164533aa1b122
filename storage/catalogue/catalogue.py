"""The catalogue as the pipeline sees it, put together from its parts by subject."""

from __future__ import annotations

from storage.catalogue.accounts import AccountRecords
from storage.catalogue.copies import CopyRecords
from storage.catalogue.decisions import DecisionRecords
from storage.catalogue.files import FileRecords
from storage.catalogue.holdings import Holdings
from storage.catalogue.nightly_runs import NightlyRunRecords
from storage.catalogue.progress import ProgressRecords
from storage.catalogue.removals import Removals


class Catalogue(
    NightlyRunRecords, DecisionRecords, ProgressRecords, Holdings, FileRecords, CopyRecords, Removals,
    AccountRecords,
):  # fmt: skip
    """A database by SQLAlchemy URL. Every method is one transaction, and raises StoreUnavailable."""
