"""The catalogue: what was ingested, what is kept, where its copies are. Storage alone can rebuild it."""

from storage.catalogue.catalogue import AipRow, Catalogue, EventRow, FormatCount, IngestRow

__all__ = ["AipRow", "Catalogue", "EventRow", "FormatCount", "IngestRow"]
