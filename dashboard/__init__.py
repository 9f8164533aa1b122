"""The storage dashboard: honest read-only pages over the catalogue, for operators and archivists."""

from dashboard.app import create_app
from dashboard.sources import Sources, Space, StoreFacts

__all__ = ["Sources", "Space", "StoreFacts", "create_app"]
