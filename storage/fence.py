"""What a writer must still hold before each write: a lease, seen from the stores."""

from __future__ import annotations

from typing import Protocol

__all__ = ["UNFENCED", "Fence"]


class Fence(Protocol):
    """Asked before writes. Both raise LeaseLost when the right to write is gone."""

    def check(self) -> None:
        """Before every write; cheap."""

    def confirm(self) -> None:
        """Before a commit, and before what cannot be undone: whoever keeps the lease is asked."""


class _Unfenced:
    def check(self) -> None:
        pass

    def confirm(self) -> None:
        pass


UNFENCED: Fence = _Unfenced()
"""For what no lease guards: tests, and stores that belong to nobody else."""
