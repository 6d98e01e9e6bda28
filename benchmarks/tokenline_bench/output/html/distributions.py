"""Distributions: how often each latency came, and which share of requests was no slower."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from tokenline_bench.output.rows import main_latency, title_of
from tokenline_bench.report import Report
from tokenline_bench.statistics import Distribution

from .style import color, faded, layout

_MOST_POINTS = 2000
_BINS = 60
_MOST_FILLED = 2  # series; more hide each other


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one endpoint at one level, in ms.

    Attributes:
        name: in the legend.
        values: all of them.
        summary: for percentiles with intervals; None to leave them out.
    """

    name: str
    values: Sequence[float]
    summary: Distribution | None = None


def latency_series(report: Report, metric: str | None = None) -> list[Series]:
    """One series for each endpoint and level; by default the TTFT that the level is judged by."""
    return [
        Series(
            series_name(report, level.title, endpoint.endpoint),
            [value / 1e6 for value in endpoint.values[metric or main_latency(level)]],
            endpoint.metrics[metric or main_latency(level)],
        )
        for level in report.levels
        for endpoint in level.endpoints
        if (metric or main_latency(level)) in endpoint.values
    ]


def series_name(report: Report, level: str, endpoint: str) -> str:
    """The name of an endpoint at a level, as short as it can be."""
    several = len(report.configuration.endpoints) > 1
    if len(report.levels) == 1:
        return endpoint
    return f"{endpoint}, {level}" if several else level


def histogram(series: Sequence[Series], what: str) -> go.Figure:
    """How often which latency came; all series with the same bins."""
    values = np.concatenate([np.asarray(each.values, float) for each in series])
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, max(high, low + 1e-3), _BINS + 1)
    filled = len(series) <= _MOST_FILLED
    figure = go.Figure()
    for number, each in enumerate(series):
        counts, _ = np.histogram(np.asarray(each.values, float), edges)
        figure.add_scatter(
            x=np.repeat(edges, 2),
            y=np.concatenate(([0], np.repeat(counts, 2), [0])),
            mode="lines",
            name=each.name,
            line={"color": color(number), "width": 1.5},
            fill="tozeroy" if filled else None,
            fillcolor=faded(color(number), 0.35),
            hovertemplate="%{x:.2f} ms: %{y}<extra>" + each.name + "</extra>",
        )
    figure.update_layout(
        **layout(f"{what}, all values", f"{what} (ms)", "count"), showlegend=len(series) > 1
    )
    return figure


def cumulative(series: Sequence[Series], what: str) -> go.Figure:
    """Which share was no slower, with the percentiles' intervals."""
    figure = go.Figure()
    for number, each in enumerate(series):
        ordered = np.sort(np.asarray(each.values, float))
        shares = np.arange(1, len(ordered) + 1) / len(ordered)
        places = np.unique(np.linspace(0, len(ordered) - 1, _MOST_POINTS).astype(int))
        figure.add_scatter(
            x=ordered[places],
            y=shares[places],
            mode="lines",
            line={"shape": "hv", "color": color(number)},
            name=each.name,
        )
        if each.summary is not None:
            figure.add_scatter(**_marks(each.summary, ordered, color(number)))
    figure.update_layout(
        **layout(f"{what}, share of values no slower", f"{what} (ms)", "share"),
        showlegend=len(series) > 1,
    )
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


def _marks(summary: Distribution, ordered: np.ndarray, shade: str) -> dict[str, object]:
    """Percentiles with intervals; an open side reaches to the last value."""
    points = summary.percentiles
    at = [point.value / 1e6 for point in points]
    highs = [ordered[-1] if p.high is None else p.high / 1e6 for p in points]
    lows = [ordered[0] if p.low is None else p.low / 1e6 for p in points]
    return {
        "x": at,
        "y": [point.p for point in points],
        "mode": "markers",
        "marker": {"color": shade, "size": 7},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - value for high, value in zip(highs, at, strict=True)],
            "arrayminus": [value - low for low, value in zip(lows, at, strict=True)],
            "color": shade,
            "thickness": 1.2,
        },
        "text": [f"p{point.p * 100:g}" for point in points],
        "hovertemplate": "%{text}: %{x:.2f} ms<extra></extra>",
        "showlegend": False,
    }


def latency_figures(report: Report) -> Iterator[go.Figure]:
    """TTFT and TPOT, both ways."""
    for metric in (None, "tpot"):
        series = latency_series(report, metric)
        if series:
            what = title_of(metric or main_latency(report.levels[0]))
            yield histogram(series, what)
            yield cumulative(series, what)
