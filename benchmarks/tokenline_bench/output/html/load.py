"""Latency and throughput against load, for sweeps."""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go

from tokenline_bench.load.spec import ClosedLoop
from tokenline_bench.output.rows import main_latency, title_of
from tokenline_bench.report import LevelReport, Report

from .style import FAILED, color, layout

_SHOWN = (0.5, 0.9, 0.99)
_DASHES = {0.5: "solid", 0.9: "dash", 0.99: "dot"}


def load_figures(report: Report) -> Iterator[go.Figure]:
    """Latency, then throughput; nothing for a single level."""
    levels = sorted(report.levels, key=lambda level: level.load.value)
    if len(levels) > 1:
        yield _latency(report, levels)
        yield _throughput(report, levels)


def _load_title(levels: list[LevelReport]) -> str:
    closed = isinstance(levels[0].load, ClosedLoop)
    return "concurrency" if closed else "requests/s sent"


def _latency(report: Report, levels: list[LevelReport]) -> go.Figure:
    figure = go.Figure()
    name = main_latency(levels[0])
    for number, endpoint in enumerate(report.configuration.endpoints):
        for p in _SHOWN:
            figure.add_scatter(**_line(levels, endpoint.name, name, p, color(number)))
    slo = report.configuration.slo
    if slo is not None and name in slo.bounds:
        figure.add_hline(
            y=slo.bounds[name] / 1e6,
            line={"color": FAILED, "dash": "dash", "width": 1},
            annotation_text="SLO",
        )
    what = title_of(name)
    figure.update_layout(**layout(f"{what} against load", _load_title(levels), f"{what} (ms)"))
    figure.update_yaxes(rangemode="tozero")
    return figure


def _line(
    levels: list[LevelReport], endpoint: str, name: str, p: float, shade: str
) -> dict[str, object]:
    points = [
        (level.load.value, level.endpoint(endpoint).metrics[name].at(p))
        for level in levels
        if name in level.endpoint(endpoint).metrics
    ]
    return {
        "x": [load for load, _ in points],
        "y": [point.value / 1e6 for _, point in points],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [(point.high or point.value) / 1e6 - point.value / 1e6 for _, point in points],
            "arrayminus": [
                point.value / 1e6 - (point.value if point.low is None else point.low) / 1e6
                for _, point in points
            ],
            "thickness": 1,
            "width": 3,
        },
        "mode": "lines+markers",
        "name": f"{endpoint} p{p * 100:g}",
        "line": {"color": shade, "dash": _DASHES[p]},
    }


def _throughput(report: Report, levels: list[LevelReport]) -> go.Figure:
    figure = go.Figure()
    unit = "requests/s"
    for number, endpoint in enumerate(report.configuration.endpoints):
        reports = [(level.load.value, level.endpoint(endpoint.name)) for level in levels]
        tokens = any(each.output_tokens_per_s is not None for _, each in reports)
        figure.add_scatter(
            x=[load for load, _ in reports],
            y=[each.output_tokens_per_s if tokens else each.requests_per_s for _, each in reports],
            mode="lines+markers",
            name=endpoint.name,
            line={"color": color(number)},
        )
        unit = "output tokens/s" if tokens else "requests/s"
    figure.update_layout(
        **layout("Throughput against load", _load_title(levels), unit), showlegend=True
    )
    figure.update_yaxes(rangemode="tozero")
    return figure
