"""One agency: what is kept of it, what it sent lately, what it must correct."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.sources import Sources
from storage.catalogue import AipRow, Search, SubmissionRow, TallyRow
from storage.states import Outcome

__all__ = ["AgencyPage", "agency_page"]


_NOT_STORED = (Outcome.REJECTED, Outcome.IN_REVIEW, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class AgencyPage:
    """An agency by the name its agreement gives."""

    name: str
    sums: TallyRow | None
    latest: tuple[AipRow, ...]
    submissions: tuple[SubmissionRow, ...]
    open: tuple[SubmissionRow, ...]
    """Rejected and failed ones, and those in review."""


def agency_page(sources: Sources, name: str) -> AgencyPage | None:
    """Build the page; None for a name nobody has heard of."""
    catalogue = sources.catalogue
    sums = next((row for row in catalogue.aips.tallies("agency") if row.name == name), None)
    submissions = tuple(catalogue.submissions.latest(agency=name, limit=20))
    if sums is None and not submissions:
        return None
    return AgencyPage(
        name, sums, tuple(row for _, row in catalogue.search.find(Search(agency=name), limit=10)),
        submissions,
        tuple(catalogue.submissions.latest(_NOT_STORED, agency=name, limit=20)),
    )  # fmt: skip
