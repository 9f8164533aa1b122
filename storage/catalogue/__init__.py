"""The catalogue: what was ingested, what is kept, where its copies are. Storage alone can rebuild it."""

from storage.catalogue.catalogue import Catalogue
from storage.catalogue.rows import (
    AipRow,
    AuditRow,
    CopyRow,
    DeliveryRow,
    DueCopy,
    EventRow,
    FormatCount,
    HoldRow,
    IngestRow,
    NightRow,
    RemovalRow,
    VersionRow,
)

__all__ = [
    "AipRow",
    "AuditRow",
    "Catalogue",
    "CopyRow",
    "DeliveryRow",
    "DueCopy",
    "EventRow",
    "FormatCount",
    "HoldRow",
    "IngestRow",
    "NightRow",
    "RemovalRow",
    "VersionRow",
]
