"""In which order deliveries are taken, so that one agency's backlog starves nobody."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping

from pipeline.intake.deliveries import Delivery

__all__ = ["in_fair_order"]

_STEP = 1 << 20  # bytes that every delivery costs besides its own: many small ones are work too


def in_fair_order(
    deliveries: Iterable[Delivery], weights: Mapping[str, float], *, max_per_agency: int = 0
) -> Iterator[Delivery]:
    """Oldest first within an agency; between agencies whoever has had least for its weight.

    An agency of weight 2 gets twice the bytes of one of weight 1 (the default). ``max_per_agency``
    is the most deliveries of one agency in a nightly run, 0 for no such limit.
    """
    queues: dict[str, deque[Delivery]] = defaultdict(deque)
    for delivery in sorted(deliveries, key=lambda one: (one.newest, one.place)):
        queues[delivery.agency].append(delivery)
    heap = [(0.0, agency) for agency in sorted(queues)]
    heapq.heapify(heap)
    taken: dict[str, int] = defaultdict(int)
    while heap:
        served, agency = heapq.heappop(heap)
        if max_per_agency and taken[agency] >= max_per_agency:
            continue
        delivery = queues[agency].popleft()
        taken[agency] += 1
        yield delivery
        if queues[agency]:
            weight = max(weights.get(agency, 1.0), 0.001)
            heapq.heappush(heap, (served + (delivery.bytes + _STEP) / weight, agency))
