"""The catalogue: small repositories by subject over one database."""

from __future__ import annotations

import copy
from typing import Self

from storage.catalogue.accounts import AccountRecords
from storage.catalogue.aips import AipRecords
from storage.catalogue.audits import AuditRecords
from storage.catalogue.copies import CopyRecords
from storage.catalogue.decisions import DecisionRecords
from storage.catalogue.deliveries import DeliveryRecords
from storage.catalogue.events import EventRecords
from storage.catalogue.files import FileRecords
from storage.catalogue.formats import FormatRecords
from storage.catalogue.heartbeats import LiveDatabase
from storage.catalogue.holds import HoldRecords
from storage.catalogue.leases import Lease, LeaseRecords
from storage.catalogue.nightly_runs import NightlyRunRecords
from storage.catalogue.process import ProcessRuntime
from storage.catalogue.progress import ProgressRecords
from storage.catalogue.removals import RemovalRecords
from storage.catalogue.search import SearchRecords
from storage.catalogue.submissions import SubmissionRecords
from storage.catalogue.versions import VersionRecords


class Catalogue:
    """What was ingested, what is kept, where its copies are; a repository for each subject."""

    def __init__(self, url: str, runtime: ProcessRuntime | None = None) -> None:
        """``url`` is SQLAlchemy's. Raises StoreRefused when it is none, or no driver is there for it."""
        self._stand_on(LiveDatabase(url, runtime))

    def _stand_on(self, database: LiveDatabase) -> None:
        self.database = database
        self.leases = LeaseRecords(database)
        self.aips = AipRecords(database)
        self.versions = VersionRecords(database)
        self.formats = FormatRecords(database)
        self.events = EventRecords(database)
        self.copies = CopyRecords(database)
        self.audits = AuditRecords(database)
        self.submissions = SubmissionRecords(database)
        self.decisions = DecisionRecords(database)
        self.deliveries = DeliveryRecords(database)
        self.nightly_runs = NightlyRunRecords(database)
        self.progress = ProgressRecords(database)
        self.holds = HoldRecords(database)
        self.removals = RemovalRecords(database)
        self.accounts = AccountRecords(database)
        self.search = SearchRecords(database)
        self.files = FileRecords(database)

    def under(self, lease: Lease) -> Self:
        """This catalogue, every write of which fails with LeaseLost once the lease is lost."""
        fenced = copy.copy(self)
        fenced._stand_on(self.database.under(lease))
        return fenced

    @property
    def name(self) -> str:
        """What errors call it, where a store would have its name."""
        return self.database.name

    def migrate(self) -> None:
        """Bring the schema up to date; a no-op when it is."""
        self.database.migrate()

    def close(self) -> None:
        """Give back the connections; this process holds nothing any more."""
        self.database.close()
