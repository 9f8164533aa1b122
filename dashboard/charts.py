"""Charts as numbers for an SVG: positions, never colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Bar", "Chart", "area", "bars"]

WIDTH, HEIGHT = 720, 160


@dataclass(frozen=True, slots=True)
class Bar:
    """One column, with what it stands for."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: int
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of ``WIDTH`` × ``HEIGHT`` units; ``line`` is an SVG path or empty."""

    bars: tuple[Bar, ...]
    line: str
    highest: int
    first: str
    last: str


def area(points: Sequence[tuple[str, int]]) -> Chart:
    """A growing sum: a line over the whole width, and a column for each point to point at."""
    highest = max((value for _, value in points), default=0)
    step = WIDTH / max(len(points) - 1, 1)
    places = [(n * step, _y(value, highest)) for n, (_, value) in enumerate(points)]
    if len(places) == 1:
        places.append((float(WIDTH), places[0][1]))
    line = " L".join(f"{x:.1f},{y:.1f}" for x, y in places)
    path = f"M0,{HEIGHT} L{line} L{WIDTH},{HEIGHT} Z" if places else ""
    return Chart((), path, highest, points[0][0] if points else "", points[-1][0] if points else "")


def bars(points: Sequence[tuple[str, int, str]]) -> Chart:
    """A histogram: label, value, kind (which the style sheet colours)."""
    highest = max((value for _, value, _ in points), default=0)
    width = WIDTH / max(len(points), 1)
    made = tuple(
        Bar(
            n * width + width * 0.1, _y(value, highest), width * 0.8, HEIGHT - _y(value, highest), label,
            value, kind,
        )
        for n, (label, value, kind) in enumerate(points)
    )  # fmt: skip
    return Chart(made, "", highest, points[0][0] if points else "", points[-1][0] if points else "")


def _y(value: int, highest: int) -> float:
    if not value:
        return float(HEIGHT)
    return HEIGHT - max(2.0, value / highest * (HEIGHT - 10))
