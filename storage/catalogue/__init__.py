"""The catalogue: what was ingested, what is kept, where its copies are. Storage alone can rebuild it."""

from storage.catalogue.catalogue import Catalogue
from storage.catalogue.decisions import DECIDED
from storage.catalogue.leases import Lease
from storage.catalogue.process import ProcessRuntime, current_owner, owner_of, seen_dead
from storage.catalogue.rows import (
    AccountRow,
    AipRow,
    AttemptRow,
    AuditRow,
    CopyRow,
    CopyTallyRow,
    DecisionRow,
    DeliveryRow,
    DueCopy,
    EventRow,
    FileRow,
    FormatCount,
    HoldRow,
    IngestRow,
    LeaseRow,
    NightlyRunRow,
    PlannedVersionRow,
    ProgressRow,
    RemovalRow,
    SubmissionRow,
    TallyRow,
    VersionRow,
)
from storage.catalogue.search import Search

__all__ = [
    "DECIDED",
    "AccountRow",
    "AipRow",
    "AttemptRow",
    "AuditRow",
    "Catalogue",
    "CopyRow",
    "CopyTallyRow",
    "DecisionRow",
    "DeliveryRow",
    "DueCopy",
    "EventRow",
    "FileRow",
    "FormatCount",
    "HoldRow",
    "IngestRow",
    "Lease",
    "LeaseRow",
    "NightlyRunRow",
    "PlannedVersionRow",
    "ProcessRuntime",
    "ProgressRow",
    "RemovalRow",
    "Search",
    "SubmissionRow",
    "TallyRow",
    "VersionRow",
    "current_owner",
    "owner_of",
    "seen_dead",
]
