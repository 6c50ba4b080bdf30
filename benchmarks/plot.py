"""Lines over how many at once, as SVG; both axes are logarithmic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Points: TypeAlias = "Sequence[tuple[float, float]]"

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 175, 50, 55
# Told apart by those who do not see all colours, and by their dashes where there are none.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6b6b6b", "#b8860b")
DASHES = ("", "7 3", "", "2 3", "9 3 2 3", "4 4")
TEXT = 'font-family="sans-serif" font-size="12" fill="#222"'
APART = 16.0  # pixels between two names


def drawn(title: str, lines: Mapping[str, Points], x_name: str, y_name: str) -> str:
    """Return a picture of lines, each named at its right end."""
    xs = sorted({x for points in lines.values() for x, _ in points})
    ys = [y for points in lines.values() for _, y in points]
    ticks = _ticks(min(ys), max(ys))
    scale = _Scale(xs[0], xs[-1], ticks[0], ticks[-1])
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {TEXT}>',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            f'<text x="{LEFT}" y="26" font-size="15" font-weight="bold">{escape(title)}</text>',
            *_grid(scale, xs, ticks),
            *_names_of_axes(x_name, y_name),
            *_lines(scale, lines),
            "</svg>\n",
        ]
    )


class _Scale:
    """Where values lie on the picture."""

    def __init__(self, left: float, right: float, low: float, high: float) -> None:
        self._left, self._low = left, low
        self._across = (WIDTH - LEFT - RIGHT) / math.log(right / left)
        self._up = (HEIGHT - TOP - BOTTOM) / math.log(high / low)

    def x(self, value: float) -> float:
        return round(LEFT + math.log(value / self._left) * self._across, 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - math.log(value / self._low) * self._up, 1)


def _ticks(least: float, most: float) -> list[int]:
    """Return round numbers from below the least to above the most."""
    every = [digit * 10**power for power in range(9) for digit in (1, 2, 5)]
    first = max((tick for tick in every if tick <= least), default=1)
    last = min(tick for tick in every if tick >= most and tick > first)
    return [tick for tick in every if first <= tick <= last]


def _grid(scale: _Scale, xs: Iterable[float], ticks: Iterable[int]) -> Iterable[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for tick in ticks:
        y = scale.y(tick)
        yield f'<path d="M{LEFT} {y}H{right}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{tick:,}</text>'
    for at in xs:
        x = scale.x(at)
        yield f'<path d="M{x} {TOP}V{bottom}" stroke="#eee"/>'
        yield f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{at:g}</text>'


def _names_of_axes(x_name: str, y_name: str) -> Iterable[str]:
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_name)}</text>'
    yield f'<text x="{LEFT}" y="{TOP - 16}" text-anchor="end" fill="#666">{escape(y_name)}</text>'


def _lines(scale: _Scale, lines: Mapping[str, Points]) -> Iterable[str]:
    heights = _apart({name: scale.y(points[-1][1]) for name, points in lines.items()})
    for number, (name, points) in enumerate(lines.items()):
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        places = [(scale.x(x), scale.y(y)) for x, y in points]
        path = " ".join(f"{x},{y}" for x, y in places)
        yield (
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"'
            f' stroke-dasharray="{dash}"/>'
        )
        yield from (f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>' for x, y in places)
        yield (
            f'<text x="{WIDTH - RIGHT + 12}" y="{heights[name] + 4}" fill="{colour}"'
            f' font-weight="bold">{escape(name)}</text>'
        )


def _apart(heights: Mapping[str, float]) -> dict[str, float]:
    """Move names down that would lie on others."""
    placed: dict[str, float] = {}
    last = -math.inf
    for name, height in sorted(heights.items(), key=lambda each: each[1]):
        last = max(height, last + APART)
        placed[name] = last
    return placed
