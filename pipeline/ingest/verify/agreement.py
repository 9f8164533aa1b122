"""What the agency agreed to: bag-info fields, limits, and a BagIt profile where one is named."""

from __future__ import annotations

from collections.abc import Iterator

from packages.bag import Bag
from packages.bag.bag_info import BagInfo
from packages.bag.profile import departures
from packages.problems.catalogue import problem
from packages.problems.problem import Problem
from pipeline.agreement import Agreement, Limits


def check(bag: Bag, agreement: Agreement, form: str) -> Iterator[Problem]:
    """Every departure from the agreement. ``form`` is what the bag came as."""
    yield from _fields(agreement, bag.info)
    yield from _limits(agreement.limits, *bag.files.totals())
    if agreement.profile:
        yield from departures(agreement.profile, bag, form)


def _fields(agreement: Agreement, info: BagInfo) -> Iterator[Problem]:
    for label, rule in agreement.bag_info.items():
        values = [value for value in info.all(label) if value.strip()]
        if rule.required and not values:
            yield problem("AGREE-FIELD", "bag-info.txt", expected=label)
        for value in values:
            if rule.values and value not in rule.values:
                allowed = " or ".join(rule.values)
                yield problem("AGREE-FIELD-VALUE", label, expected=allowed, found=value)


def _limits(limits: Limits, files: int, size: int) -> Iterator[Problem]:
    if files > limits.max_files:
        yield problem("AGREE-LIMIT", expected=f"{limits.max_files} files", found=f"{files} files")
    if size > limits.max_bytes:
        yield problem("AGREE-LIMIT", expected=f"{limits.max_bytes} bytes", found=f"{size} bytes")
