"""The problems of one run, as many as a report can use: listed up to a number, then counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from packages.problems.problem import Problem, Severity, by_severity

__all__ = ["MAX_KEPT_PER_CODE", "Findings"]

MAX_KEPT_PER_CODE = 2000
"""Findings of one code that are kept whole. A million of them help nobody and fill the memory."""


class Findings:
    """What was found so far."""

    def __init__(self) -> None:
        self._kept: dict[Problem, None] = {}
        self._counts: Counter[str] = Counter()
        self.errors = 0

    def add(self, problem: Problem) -> None:
        """One more; the same one twice counts once."""
        self._count(problem)

    def _count(self, problem: Problem) -> None:
        if problem in self._kept:
            return
        self.errors += problem.severity is Severity.ERROR
        self._counts[problem.code] += 1
        if self._counts[problem.code] <= MAX_KEPT_PER_CODE:
            self._kept[problem] = None

    def counts(self) -> dict[str, int]:
        """How many of each code there were, kept or not."""
        return dict(self._counts)

    def append(self, later: Findings) -> None:
        """What somebody else found after this, counted as they counted it."""
        for problem in later._kept:
            self._count(problem)
        for code, number in later._counts.items():
            if number > MAX_KEPT_PER_CODE:
                self._count_more(code, number - MAX_KEPT_PER_CODE)

    def count_as(self, counts: Mapping[str, int]) -> None:
        """What another process found that gave this one only what it kept."""
        for code, number in counts.items():
            if number > self._counts[code]:
                self._count_more(code, number - self._counts[code])

    def _count_more(self, code: str, number: int) -> None:
        """Findings of a kind of which some are kept: only their number is known."""
        kind = next((problem for problem in self._kept if problem.code == code), None)
        if kind is not None:
            self._counts[code] += number
            self.errors += number * (kind.severity is Severity.ERROR)

    def __len__(self) -> int:
        return sum(self._counts.values())

    def all(self) -> tuple[Problem, ...]:
        """Gravest first; where some were only counted, a last one says how many."""
        rest = []
        for code, number in self._counts.items():
            if number > MAX_KEPT_PER_CODE:
                kind = next(problem for problem in self._kept if problem.code == code)
                text = f"… and {number - MAX_KEPT_PER_CODE:,} more of this kind ({number:,} in all)."
                rest.append(replace(kind, path="", found=text, for_depositor=text, for_operator=text))
        return (*by_severity(self._kept), *rest)
