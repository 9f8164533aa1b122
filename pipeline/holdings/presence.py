"""Is a store really there? An unmounted disk looks like an empty folder, and must not be filled anew."""

from __future__ import annotations

from storage.catalogue import Catalogue
from storage.errors import StoreRefused
from storage.replicas.store import ArchivalStore
from storage.states import CopyState

__all__ = ["missing_reason", "require_present"]

_HELD = (CopyState.VERIFIED, CopyState.DAMAGED, CopyState.UNVERIFIED, CopyState.UNREADABLE)


def missing_reason(store: ArchivalStore, catalogue: Catalogue) -> str | None:
    """Why a store that should hold copies cannot be the one meant; None when all is well.

    Raises StoreUnavailable when it cannot be asked.
    """
    if store.repository.exists():
        return None
    counts = catalogue.copies.count(store.name)
    if any(counts.get(state) for state in _HELD):
        return "it has no storage root, but should hold copies; is it mounted, is the name right?"
    return None


def require_present(store: ArchivalStore, catalogue: Catalogue) -> None:
    """Raises StoreRefused for a store that is absent, StoreUnavailable for one out of reach."""
    reason = missing_reason(store, catalogue)
    if reason:
        raise StoreRefused(store.name, reason)
