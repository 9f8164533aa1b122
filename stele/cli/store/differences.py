"""What ``stele store reconcile`` and ``sweep`` print: how catalogue and stores differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from packages.sizes import size_text
from pipeline.preservation.reconcile import Difference
from stele.cli.output import OUT, data, print_json


def print_differences(found: Iterable[Difference], *, as_json: bool, nothing: str) -> int:
    """A line or a JSON object each, ``nothing`` where there is none; how many there were."""
    number = 0
    for number, difference in enumerate(found, 1):  # noqa: B007  (the count is used after the loop)
        if as_json:
            print_json(asdict(difference))
        else:
            OUT.print(
                f"[yellow]{difference.kind}[/]  {data(difference.subject)} ({data(difference.store)}, "
                f"{difference.objects} objects, {size_text(difference.bytes)})",
                soft_wrap=True,
            )
    if not number and not as_json:
        OUT.print(nothing)
    return number
