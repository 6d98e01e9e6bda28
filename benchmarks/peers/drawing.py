"""Line charts as SVG, without a package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 430, 230
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 32, 16, 36
_LEGEND = 28


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its points are (x, y) in the order of x."""

    name: str
    colour: str
    points: list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart; `logarithmic` is about y."""

    title: str
    series: list[Series]
    logarithmic: bool = False


def draw(rows: Sequence[Sequence[Panel]]) -> str:
    """Panels in rows, with one legend above."""
    width = max(map(len, rows)) * _WIDTH
    height = len(rows) * _HEIGHT + _LEGEND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11" fill="#374151">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _legend(rows),
    ]
    for down, row in enumerate(rows):
        for across, panel in enumerate(row):
            at = f"translate({across * _WIDTH},{down * _HEIGHT + _LEGEND})"
            parts.append(f'<g transform="{at}">{_panel(panel)}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _legend(rows: Sequence[Sequence[Panel]]) -> str:
    names = {s.name: s.colour for row in rows for panel in row for s in panel.series}
    parts, x = [], _LEFT
    for name, colour in names.items():
        parts.append(f'<line x1="{x}" y1="15" x2="{x + 18}" y2="15" {_stroke(colour)}/>')
        parts.append(f'<text x="{x + 23}" y="19" font-size="12">{name}</text>')
        x += 46 + 7 * len(name)
    return "".join(parts)


def _stroke(colour: str) -> str:
    return f'stroke="{colour}" stroke-width="2" fill="none"'


def _panel(panel: Panel) -> str:
    xs = [x for series in panel.series for x, _ in series.points]
    ys = [y for series in panel.series for _, y in series.points]
    if not xs:
        return ""
    across = _Axis(0, max(xs), _LEFT, _WIDTH - _RIGHT, False)
    low = min(ys) if panel.logarithmic else 0
    down = _Axis(low, max(ys), _HEIGHT - _BOTTOM, _TOP, panel.logarithmic)
    parts = [f'<text x="{_LEFT}" y="18" font-weight="bold">{panel.title}</text>']
    for tick in down.ticks():
        y = down.place(tick)
        parts += [
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" ',
            f'stroke="#e5e7eb"/><text x="{_LEFT - 5}" y="{y + 3:.1f}" ',
            f'text-anchor="end">{tick:,g}</text>',
        ]
    for tick in across.ticks():
        x = across.place(tick)
        text = (
            f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 13}" text-anchor="middle">{tick:g}</text>'
        )
        parts.append(text)
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">streams</text>')
    parts += [_line(series, across, down) for series in panel.series]
    return "".join(parts)


def _line(series: Series, across: _Axis, down: _Axis) -> str:
    places = [(across.place(x), down.place(y)) for x, y in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{series.colour}"/>' for x, y in places
    )
    return f'<polyline points="{path}" {_stroke(series.colour)}/>{dots}'


@dataclass(frozen=True, slots=True)
class _Axis:
    """From values to places."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def place(self, value: float) -> float:
        """Where a value is drawn."""
        low, high = self._bounds()
        if self.logarithmic:
            value, low, high = (math.log10(max(each, 1e-6)) for each in (value, low, high))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def _bounds(self) -> tuple[float, float]:
        if not self.logarithmic:
            return self.low, self.high * 1.05 or 1.0
        low = 10.0 ** math.floor(math.log10(max(self.low, 1e-6)))
        high = 10.0 ** math.ceil(math.log10(max(self.high, 1e-6)))
        return low, max(high, low * 10)

    def ticks(self) -> list[float]:
        """Round values within the bounds."""
        low, high = self._bounds()
        if self.logarithmic:
            first, last = round(math.log10(low)), round(math.log10(high))
            return [10.0**power for power in range(first, last + 1)]
        step = 10.0 ** math.floor(math.log10(high))
        while high / step < 4:
            step /= 2
        return [step * number for number in range(int(high / step) + 1)]
