"""Where the time to the first token went, and what the pipeline's own stages took."""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go

from tokenline_bench.report import EndpointReport, LevelReport, Report
from tokenline_bench.results import LevelResult, Results
from tokenline_bench.sample import Sample

from .style import FIRST, STREAMED, WAITED, layout

_STEPS = (
    ("request to headers", "request_ns", "headers_ns"),
    ("to first byte", "headers_ns", "first_byte_ns"),
    ("to first chunk", "first_byte_ns", "first_chunk_ns"),
    ("to first token", "first_chunk_ns", "first_token_ns"),
    ("to the reader", "first_token_ns", "first_delivery_ns"),
)


def stage_figures(report: Report, results: Results | None) -> Iterator[go.Figure]:
    """For the first level and each endpoint: waterfall of the TTFT, and the stages."""
    if not report.levels:
        return
    level = report.levels[0]
    for endpoint in level.endpoints:
        if results is not None:
            waterfall = _waterfall(results.levels[0], endpoint.endpoint)
            if waterfall is not None:
                yield waterfall
        if endpoint.stages:
            yield _stages(level, endpoint)


def _waterfall(result: LevelResult, endpoint: str) -> go.Figure | None:
    samples = [sample for sample in result.of(endpoint) if sample.ok and sample.first_delivery_ns]
    if not samples:
        return None
    means = [_mean_ms(samples, start, end) for _, start, end in _STEPS]
    names = [name for name, _, _ in _STEPS]
    figure = go.Figure(
        go.Waterfall(
            x=[*names, "first token in hand"],
            y=[*means, 0],
            measure=["relative"] * len(names) + ["total"],
            text=[f"{value:.2f}" for value in [*means, sum(means)]],
            textposition="outside",
            increasing={"marker": {"color": FIRST}},
            totals={"marker": {"color": STREAMED}},
            connector={"line": {"color": WAITED, "width": 1}},
            cliponaxis=False,
        )
    )
    title = f"Where the time to the first token goes, means ({endpoint})"
    figure.update_layout(**layout(title, "", "ms since the request"), showlegend=False)
    return figure


def _mean_ms(samples: list[Sample], start: str, end: str) -> float:
    differences = [
        getattr(sample, end) - getattr(sample, start)
        for sample in samples
        if getattr(sample, end) is not None and getattr(sample, start) is not None
    ]
    return sum(differences) / len(differences) / 1e6 if differences else 0.0


def _stages(level: LevelReport, endpoint: EndpointReport) -> go.Figure:
    names = [stage.name for stage in endpoint.stages]
    figure = go.Figure()
    for label, shade, values in (
        ("work", STREAMED, [stage.processing.p50_ns / 1e3 for stage in endpoint.stages]),
        ("queued", FIRST, [stage.queue_wait.p50_ns / 1e3 for stage in endpoint.stages]),
        ("blocked", WAITED, [stage.blocked.p50_ns / 1e3 for stage in endpoint.stages]),
    ):
        figure.add_bar(x=values, y=names, name=label, orientation="h", marker={"color": shade})
    title = f"The pipeline's own time in a whole request, medians ({endpoint.endpoint})"
    figure.update_layout(
        **layout(title, "microseconds a request", "", 120 + 32 * len(names), barmode="stack")
    )
    figure.update_yaxes(autorange="reversed")
    return figure
