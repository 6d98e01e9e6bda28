"""Charts over many requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tokenline.record import StageKind
from tokenline_stages.traces import TraceRecord

from .style import BLOCKED, PHASES, QUEUED, WORK, layout

_MS = 1e6
_MOST_POINTS = 2000
_OUTSIDE = (StageKind.CONSUMER.value, StageKind.TRACE_EMITTER.value)

STEPS = (
    ("headers", "time_to_headers_s"),
    ("first chunk", "time_to_first_chunk_s"),
    ("first token", "time_to_first_token_s"),
    ("delivery", "time_to_first_delivery_s"),
)
"""What the time to the first delivery is made of, in order."""


def by_model(records: Iterable[TraceRecord]) -> dict[str, list[TraceRecord]]:
    """Records by provider and model, in the order of their first one."""
    found: dict[str, list[TraceRecord]] = defaultdict(list)
    for record in records:
        found[f"{record.provider} {record.model or ''}".strip()].append(record)
    return dict(found)


def first_token_shares(records: Sequence[TraceRecord]) -> go.Figure:
    """For each model the share of requests whose first token came by then."""
    figure = go.Figure()
    for model, of_model in by_model(records).items():
        times = sorted(t for r in of_model if (t := r.timings.time_to_first_token_s) is not None)
        if times:
            shares = [(rank + 1) / len(times) for rank in range(len(times))]
            figure.add_scatter(
                x=_thinned(times), y=_thinned(shares), name=model, mode="lines", line_shape="hv"
            )
    figure.update_layout(**layout("time to first token, s", "share of requests"))
    figure.update_xaxes(type="log", dtick="D2")
    return figure.update_yaxes(tickformat=".0%", range=[0, 1.02])


def first_tokens_in_time(records: Sequence[TraceRecord]) -> go.Figure:
    """Every request by its start; hover for its id."""
    figure = go.Figure()
    for model, of_model in by_model(records[:_MOST_POINTS]).items():
        timed = [r for r in of_model if r.timings.time_to_first_token_s is not None]
        figure.add_scatter(
            x=[r.started_at for r in timed],
            y=[r.timings.time_to_first_token_s for r in timed],
            text=[f"{r.id}<br>{r.outcome}" for r in timed],
            name=model,
            mode="markers",
            marker={"size": 6, "opacity": 0.7},
            hovertemplate="%{y:.3f} s<br>%{x}<br>%{text}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(**layout("start, UTC", "time to first token, s"))
    return figure.update_yaxes(type="log", dtick="D2")


def first_token_steps(records: Sequence[TraceRecord]) -> go.Figure:
    """Means of what the time to the first delivery is made of, for each model."""
    means = {model: _step_means(of_model) for model, of_model in by_model(records).items()}
    figure = go.Figure()
    for (name, _), color in zip(STEPS, PHASES[1:], strict=False):
        figure.add_bar(
            y=list(means),
            x=[steps.get(name, 0.0) for steps in means.values()],
            name=name,
            orientation="h",
            marker_color=color,
            hovertemplate="%{x:.4f} s<extra>" + name + "</extra>",
        )
    height = 130 + 34 * len(means)
    return figure.update_layout(**layout("seconds, mean", "", height, barmode="stack"))


def _step_means(records: Sequence[TraceRecord]) -> dict[str, float]:
    """Mean seconds that each step added, over requests that got to the delivery."""
    added: dict[str, list[float]] = defaultdict(list)
    for record in records:
        stamps = [(name, getattr(record.timings, field)) for name, field in STEPS]
        if any(seconds is None for _, seconds in stamps):
            continue
        before = 0.0
        for name, seconds in stamps:
            added[name].append(max(0.0, seconds - before))
            before = max(before, seconds)
    return {name: fmean(values) for name, values in added.items()}


def stage_times(records: Sequence[TraceRecord]) -> go.Figure:
    """Mean work of each stage of the pipeline in one request, and how long things waited."""
    stages = stage_means(records)
    figure = make_subplots(
        cols=2, shared_yaxes=True, subplot_titles=("work", "waiting"), horizontal_spacing=0.04
    )
    for name, color, column in (
        ("processing", WORK, 1),
        ("queue wait of a batch", QUEUED, 2),
        ("blocked", BLOCKED, 2),
    ):
        figure.add_bar(
            y=list(stages),
            x=[means[name] for means in stages.values()],
            name=name,
            orientation="h",
            marker_color=color,
            hovertemplate="%{x:.3f} ms<extra>" + name + "</extra>",
            row=1,
            col=column,
        )
    figure.update_layout(**layout("", "", 170 + 40 * len(stages)))
    figure.update_layout(legend={"y": -0.2, "yanchor": "top"})
    figure.update_xaxes(title_text="ms, mean of a request")
    return figure.update_yaxes(autorange="reversed")


def stage_means(records: Iterable[TraceRecord]) -> Mapping[str, dict[str, float]]:
    """Means in ms by stage, in flow order; the consumer's own code is no stage of ours."""
    values: dict[str, dict[str, list[float]]] = {}
    for record in records:
        for stage in record.stages:
            if stage.kind in _OUTSIDE:
                continue
            of_stage = values.setdefault(stage.name, defaultdict(list))
            of_stage["processing"].append(stage.processing_ns / _MS)
            of_stage["queue wait of a batch"].append(
                stage.queue_wait_ns / max(stage.batches, 1) / _MS
            )
            of_stage["blocked"].append(stage.blocked_ns / _MS)
    return {
        name: {what: fmean(each) for what, each in of_stage.items()}
        for name, of_stage in values.items()
    }


def gaps(records: Sequence[TraceRecord]) -> go.Figure:
    """Each stream's longest gap over its median one: stalls stand out to the top."""
    figure = go.Figure()
    for model, of_model in by_model(records[:_MOST_POINTS]).items():
        streamed = [r for r in of_model if r.timings.chunk_gap_max_s and r.timings.chunk_gap_p50_s]
        figure.add_scatter(
            x=[r.timings.chunk_gap_p50_s for r in streamed],
            y=[r.timings.chunk_gap_max_s for r in streamed],
            text=[r.id for r in streamed],
            name=model,
            mode="markers",
            marker={"size": 6, "opacity": 0.7},
            hovertemplate="longest %{y:.3f} s, median %{x:.4f} s<br>%{text}<extra></extra>",
        )
    figure.update_layout(**layout("median gap between chunks, s", "longest gap, s"))
    return figure.update_xaxes(type="log", dtick="D2").update_yaxes(type="log", dtick="D2")


def _thinned(values: Sequence[Any]) -> list[Any]:
    """At most `_MOST_POINTS` of sorted values, the last one included."""
    step = len(values) // _MOST_POINTS + 1
    return [*values[:-1:step], values[-1]]
