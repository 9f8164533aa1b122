"""The catalogue: what was ingested, what is kept, where its copies are. Storage alone can rebuild it."""

from storage.catalogue.catalogue import Catalogue
from storage.catalogue.files import Search
from storage.catalogue.rows import (
    AccountRow,
    AipRow,
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
    NightRow,
    ProgressRow,
    RemovalRow,
    SubmissionRow,
    TallyRow,
    VersionRow,
)
from storage.catalogue.workers import owner_now, owner_of

__all__ = [
    "AccountRow",
    "AipRow",
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
    "NightRow",
    "ProgressRow",
    "RemovalRow",
    "Search",
    "SubmissionRow",
    "TallyRow",
    "VersionRow",
    "owner_now",
    "owner_of",
]
