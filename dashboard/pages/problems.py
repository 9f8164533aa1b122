"""Problems explained: every code a report may bear, for agencies and for us."""

from __future__ import annotations

from dataclasses import dataclass

from packages.problems.catalogue import ProblemKind, catalogue

__all__ = ["ProblemsPage", "problems_page"]


@dataclass(frozen=True, slots=True)
class ProblemsPage:
    """All kinds, in the order of the way through the pipeline."""

    kinds: tuple[ProblemKind, ...]


def problems_page() -> ProblemsPage:
    """The catalogue of codes."""
    return ProblemsPage(tuple(catalogue().values()))
